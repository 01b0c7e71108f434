//! Takes a Rust file apart into code and comments, line by line, without parsing it. Knows
//! comments, strings and characters, and nothing else of the language.

/// A Rust file taken apart. Both texts have the line breaks of the file; what does not belong is
/// blank, and so are the contents of strings and characters in both.
#[derive(Debug)]
pub(crate) struct Masked {
    pub(crate) code: String,
    pub(crate) comments: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// Takes `text` apart. Text that is not Rust gives some result, never a panic.
pub(crate) fn mask(text: &str) -> Masked {
    let mut masked = Masked {
        code: String::with_capacity(text.len()),
        comments: String::new(),
    };
    let mut rest = text;
    while !rest.is_empty() {
        let (kind, bytes) = next_piece(rest);
        let (piece, after) = rest.split_at(bytes);
        push(&mut masked.code, piece, kind == Kind::Code);
        push(&mut masked.comments, piece, kind == Kind::Comment);
        rest = after;
    }
    masked
}

fn push(text: &mut String, piece: &str, belongs: bool) {
    if belongs {
        text.push_str(piece);
    } else {
        text.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
    }
}

/// The kind and length in bytes of what `rest`, which is not empty, starts with.
fn next_piece(rest: &str) -> (Kind, usize) {
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, block_comment(rest));
    }
    if let Some(bytes) = raw_string(rest) {
        return (Kind::Literal, bytes);
    }
    if let Some(inside) = rest.strip_prefix('"') {
        return (Kind::Literal, 1 + until_unescaped(inside, '"'));
    }
    if let Some(inside) = rest.strip_prefix('\'') {
        let mut chars = inside.chars();
        return match (chars.next(), chars.next()) {
            (Some('\\'), _) => (Kind::Literal, 1 + until_unescaped(inside, '\'')),
            (Some(c), Some('\'')) => (Kind::Literal, 2 + c.len_utf8()),
            // A lifetime or label.
            _ => (Kind::Code, 1),
        };
    }
    (Kind::Code, rest.chars().next().map_or(1, char::len_utf8))
}

/// Length of the block comment at the start; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth = depth.saturating_sub(1);
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of the raw string at the start, if there is one. `r#name` is not one.
fn raw_string(text: &str) -> Option<usize> {
    let fence = text.strip_prefix('r')?;
    let hashes = fence.len() - fence.trim_start_matches('#').len();
    let inside = fence.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let opening = 1 + hashes + 1;
    Some(
        inside
            .find(&end)
            .map_or(text.len(), |at| opening + at + end.len()),
    )
}

/// Bytes up to and with the first `end` that no backslash escapes.
fn until_unescaped(text: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == end {
            return at + c.len_utf8();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        text.split_whitespace().collect()
    }

    #[test]
    fn code_and_comments_are_told_apart() {
        let masked = mask("let a = 1; // one\n/* two /* nested */ still */ let b;\n");
        assert_eq!(words(&masked.code), ["let", "a", "=", "1;", "let", "b;"]);
        assert_eq!(
            words(&masked.comments),
            [
                "//", "one", "/*", "two", "/*", "nested", "*/", "still", "*/"
            ]
        );
    }

    #[test]
    fn contents_of_literals_are_neither() {
        for literal in [
            r#""// { no comment \" }""#,
            r##"r#"{ " { "#"##,
            r#"br"{\""#,
            r"'{'",
            r"'\''",
            r"'\u{7b}'",
            "b'{'",
            "'\u{e9}'",
            "\"{\n{\"",
        ] {
            let masked = mask(&format!("x({literal}) // c"));
            assert!(
                !masked.code.contains('{'),
                "{literal} leaked into {:?}",
                masked.code
            );
            assert!(
                masked.code.contains(')'),
                "{literal} swallowed code: {:?}",
                masked.code
            );
            assert_eq!(words(&masked.comments), ["//", "c"], "{literal}");
        }
    }

    #[test]
    fn lifetimes_labels_and_raw_names_are_code() {
        let text = "fn f<'a>(x: &'a str) { 'outer: loop { r#fn(); } } // '";
        let masked = mask(text);
        assert_eq!(
            masked.code.trim_end(),
            "fn f<'a>(x: &'a str) { 'outer: loop { r#fn(); } }"
        );
    }

    #[test]
    fn line_breaks_stay_where_they_were() {
        let text = "a\n/* b\nc */ \"d\ne\"\nr\"f\n\"g\n";
        let masked = mask(text);
        assert_eq!(masked.code.lines().count(), text.lines().count());
        assert_eq!(masked.comments.lines().count(), text.lines().count());
    }

    #[test]
    fn unfinished_text_ends_without_a_panic() {
        for text in ["\"", "'", "'\\", "/*", "r#\"", "r#", "/", "'\u{e9}", "\"\\"] {
            mask(text);
        }
    }
}
