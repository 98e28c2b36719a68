//! Device keys on one server, and between servers.

mod across;
mod claiming;
mod cross;
mod lists;
mod disagreement;
mod restored;
mod uploading;
