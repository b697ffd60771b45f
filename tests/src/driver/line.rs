//! What referee and members say to each other.

/// Something that is said in one line of text.
pub trait Line: Sized + Send + 'static {
    /// The line, without its end.
    fn line(&self) -> String;

    /// What the line says; `None` if that is nothing of this sort.
    fn read(line: &str) -> Option<Self>;
}
