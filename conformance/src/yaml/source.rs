//! The text of a file, and places in it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::Diagnostic;

/// The largest file that is read: far above anything written by hand, far below what could hurt.
pub const MAX_BYTES: u64 = 1 << 20;

const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// A text under the name that errors call it by.
#[derive(Debug)]
pub struct Source {
    /// What errors call the text, usually the path it was read from.
    pub name: String,
    /// The text, without a byte order mark.
    pub text: String,
}

impl Source {
    /// A text that is already at hand.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let mut text = text.into();
        if text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len_utf8());
        }
        Arc::new(Self { name: name.into(), text })
    }

    /// Reads a text file of at most [`MAX_BYTES`] in UTF-8.
    pub fn read(path: &Path) -> Result<Arc<Self>, Diagnostic> {
        let name = path.display().to_string();
        let refuse = |why: &str| Diagnostic::new(format!("{name}: {why}"));
        let failed = |error: &io::Error| match error.kind() {
            io::ErrorKind::NotFound => refuse("there is no such file"),
            io::ErrorKind::PermissionDenied => refuse("there is no permission to read it"),
            _ => refuse(&error.to_string()),
        };
        let too_large = || refuse(&format!("the file is larger than the limit of {MAX_BYTES} bytes"));

        let metadata = fs::metadata(path).map_err(|error| failed(&error))?;
        if metadata.is_dir() {
            return Err(refuse("this is a folder, and a file is expected"));
        }
        // A device or a pipe has no size to check, and some of them never end.
        if !metadata.is_file() {
            return Err(refuse("this is not a regular file"));
        }
        if metadata.len() > MAX_BYTES {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        // The file may have grown since its size was asked for.
        let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
        let length = read.map_err(|error| failed(&error))?;
        if length as u64 > MAX_BYTES {
            return Err(too_large());
        }
        Self::decode(name, bytes)
    }

    /// The text of a file that was read, which is in UTF-8.
    pub(crate) fn decode(name: String, bytes: Vec<u8>) -> Result<Arc<Self>, Diagnostic> {
        if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
            return Err(Diagnostic::new(format!("{name}: the file is in UTF-16, and UTF-8 is expected"))
                .with_help("save it again with the encoding UTF-8"));
        }
        if bytes.contains(&0) {
            return Err(Diagnostic::new(format!(
                "{name}: this is not a text file: there are zero bytes in it"
            )));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(name, text)),
            Err(error) => Err(Self::not_utf8(name, error.as_bytes(), error.utf8_error().valid_up_to())),
        }
    }

    fn not_utf8(name: String, bytes: &[u8], bad: usize) -> Diagnostic {
        let value = bytes.get(bad).copied().unwrap_or_default();
        let removed = if bytes.starts_with(b"\xEF\xBB\xBF") { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        let start = bad.saturating_sub(removed);
        let end = start + char::REPLACEMENT_CHARACTER.len_utf8();
        let source = Self::new(name, String::from_utf8_lossy(bytes));
        let message = format!("the file is not in UTF-8: the byte 0x{value:02X} makes no character here");
        Diagnostic::at(&Span { source, start, end }, message)
            .with_help("save it again with the encoding UTF-8")
    }
}

/// A part of a text, in bytes. Cloning it is cheap.
#[derive(Clone)]
pub struct Span {
    /// The text that this is a part of.
    pub source: Arc<Source>,
    /// Where the first byte is.
    pub start: usize,
    /// Where the first byte behind it is.
    pub end: usize,
}

impl Span {
    /// The line it begins in, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        1 + self.before().matches('\n').count()
    }

    /// The column it begins at, in characters, counted from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        let before = self.before();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        1 + before.get(line_start..).unwrap_or_default().chars().count()
    }

    /// What is written there.
    #[must_use]
    pub fn text(&self) -> &str {
        self.source.text.get(self.start..self.end).unwrap_or_default()
    }

    fn before(&self) -> &str {
        self.source.text.get(..self.start).unwrap_or(&self.source.text)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source.name, self.line(), self.column())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Arc<Source>, Diagnostic> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        fs::write(&path, bytes).unwrap();
        Source::read(&path)
    }

    fn refusal(bytes: &[u8]) -> Diagnostic {
        read(bytes).unwrap_err()
    }

    fn place_of(diagnostic: &Diagnostic) -> (usize, usize) {
        let span = diagnostic.span.as_ref().unwrap();
        (span.line(), span.column())
    }

    fn span(text: &str, part: &str) -> Span {
        let source = Source::new("a.yaml", text);
        let start = source.text.find(part).unwrap();
        Span { source, start, end: start + part.len() }
    }

    #[test]
    fn a_text_file_is_read_as_it_is() {
        assert_eq!(read("a: ä\n".as_bytes()).unwrap().text, "a: ä\n");
    }

    #[test]
    fn an_empty_file_is_an_empty_text() {
        assert_eq!(read(b"").unwrap().text, "");
    }

    #[test]
    fn a_byte_order_mark_is_removed_from_file_and_text() {
        assert_eq!(read(b"\xEF\xBB\xBFa: 1").unwrap().text, "a: 1");
        assert_eq!(Source::new("a.yaml", "\u{FEFF}a: 1").text, "a: 1");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Source::read(Path::new("no/such.yaml")).unwrap_err();
        assert_eq!(error.message, "no/such.yaml: there is no such file");
    }

    #[test]
    fn a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Source::read(folder.path()).unwrap_err();
        assert!(error.message.ends_with(": this is a folder, and a file is expected"), "{error}");
    }

    #[test]
    fn a_file_at_the_limit_is_read_and_one_byte_more_is_refused() {
        let limit = usize::try_from(MAX_BYTES).unwrap();
        assert_eq!(read(&vec![b'a'; limit]).unwrap().text.len(), limit);
        let error = refusal(&vec![b'a'; limit + 1]);
        assert!(error.message.ends_with("larger than the limit of 1048576 bytes"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_refused() {
        let error = Source::read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.message, "/dev/zero: this is not a regular file");
    }

    // Elsewhere a file of that size would really take up the disk.
    #[cfg(unix)]
    #[test]
    fn the_size_is_checked_before_reading() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse.yaml");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = Source::read(&path).unwrap_err();
        assert!(error.message.ends_with("larger than the limit of 1048576 bytes"), "{error}");
    }

    #[test]
    fn the_first_byte_that_is_not_utf8_has_its_place() {
        let error = refusal(b"ok: \xC3\xA4\nname: \xC3");
        assert_eq!(place_of(&error), (2, 7));
        let error = refusal(b"a: 1\r\nb: \xE4\r\n");
        assert_eq!(place_of(&error), (2, 4));
        assert_eq!(error.span.unwrap().text(), "\u{FFFD}");
        let error = refusal(b"\xEF\xBB\xBFa\xFF");
        assert_eq!(place_of(&error), (1, 2));
        assert_eq!(error.message, "the file is not in UTF-8: the byte 0xFF makes no character here");
    }

    #[test]
    fn a_binary_file_is_refused() {
        let error = refusal(b"MZ\x90\x00\x03");
        assert!(error.message.ends_with("this is not a text file: there are zero bytes in it"), "{error}");
        let error = refusal(b"\xFF\xFEa\x00");
        assert!(error.message.ends_with("the file is in UTF-16, and UTF-8 is expected"), "{error}");
    }

    #[test]
    fn line_and_column_count_from_one_and_in_characters() {
        let place = |text, part| {
            let span = span(text, part);
            (span.line(), span.column())
        };
        assert_eq!(place("a: b", "a"), (1, 1));
        assert_eq!(place("a: 1\nb: x", "x"), (2, 4));
        assert_eq!(place("a: 1\r\nb: x\r\n", "x"), (2, 4));
        assert_eq!(place("ä: 1\nöü: x", "x"), (2, 5));
        assert_eq!(place("\u{FEFF}a: x", "x"), (1, 4));
    }

    #[test]
    fn a_span_outside_of_the_text_is_harmless() {
        let source = Source::new("a.yaml", "ä\nb");
        let span = Span { source: Arc::clone(&source), start: 90, end: 100 };
        assert_eq!((span.line(), span.column(), span.text()), (2, 2, ""));
        let inside_of_a_character = Span { source, start: 1, end: 2 };
        assert_eq!(inside_of_a_character.text(), "");
    }

    #[test]
    fn a_span_is_shown_as_file_line_and_column() {
        assert_eq!(span("a: 1\nb: x", "x").to_string(), "a.yaml:2:4");
    }
}
