//! Device keys on one server, and between servers.

mod across;
mod claiming;
mod cross;
mod disagreement;
mod lists;
mod restored;
mod uploading;
