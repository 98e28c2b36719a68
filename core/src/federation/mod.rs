//! Talking with other servers (Server-Server API): who they are, where they are, what is asked of them and what is sent to them.
//! What they ask of this server is [`crate::server_server`].

pub mod request_auth;
