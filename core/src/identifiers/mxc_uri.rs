//! Content URIs (Client-Server API, "Matrix Content (`mxc://`) URIs").

use super::*;

identifier!(
    /// `mxc://server/media_id`, with the characters that the security considerations allow: neither part can name a path.
    MxcUri, "content URI", check
);

fn check(text: &str) -> Result<(), &'static str> {
    let rest = text.strip_prefix("mxc://").ok_or("does not begin with mxc://")?;
    let (server, media_id) = rest.split_once('/').ok_or("has no / and media ID")?;
    server_name::check(server)?;
    if !is_media_id(media_id) {
        return Err("a media ID has letters, digits, _ and - only");
    }
    Ok(())
}

/// Whether a text can be the ID of media: `A-Z a-z 0-9 _ -`, at least one.
#[must_use]
pub fn is_media_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

impl MxcUri {
    /// The media `media_id` of `server`.
    pub fn new(server: &ServerName, media_id: &str) -> Result<MxcUri, InvalidIdentifier> {
        MxcUri::parse(&alloc::format!("mxc://{server}/{media_id}"))
    }
    #[must_use]
    pub fn server_name(&self) -> ServerName {
        ServerName::parse(self.parts().0).expect("checked when the URI was made")
    }
    #[must_use]
    pub fn media_id(&self) -> &str {
        self.parts().1
    }
    fn parts(&self) -> (&str, &str) {
        self["mxc://".len()..].split_once('/').expect("checked when the URI was made")
    }
}
