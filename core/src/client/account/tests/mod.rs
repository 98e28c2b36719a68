mod bad_input;
mod login;
mod password;
mod refresh;
mod registration;
mod shared_secret;
mod uia;
