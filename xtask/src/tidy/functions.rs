//! Finds the functions of a Rust file and how long they are, by counting braces in masked code.
//! Does not parse: it knows `fn`, names, brackets and semicolons.

use std::iter::Peekable;
use std::str::CharIndices;

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    /// The line of the word `fn`, from 1.
    pub(crate) line: usize,
    /// From the line of `fn` to the line of the closing brace, both counted.
    pub(crate) lines: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Mark(char),
}

/// Every function in `code`, which is free of strings and comments, nested ones too.
pub(crate) fn functions(code: &str) -> Vec<Function<'_>> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    for (at, window) in tokens.windows(3).enumerate() {
        // `r#fn` is a name and `fn(` a type.
        let [
            (_, before),
            (line, Token::Word("fn")),
            (_, Token::Word(name)),
        ] = window
        else {
            continue;
        };
        if *before == Token::Mark('#') {
            continue;
        }
        if let Some(end) = tokens.get(at + 3..).and_then(end_of_body) {
            found.push(Function {
                name,
                line: *line,
                lines: end + 1 - line,
            });
        }
    }
    found
}

/// The line of the brace that closes the body, given what follows the name; `None` if a
/// semicolon stands where a body could be.
fn end_of_body(tokens: &[(usize, Token<'_>)]) -> Option<usize> {
    let mut angles = 0_usize;
    let mut brackets = 0_usize;
    let mut braces = 0_usize;
    let mut in_body = false;
    let mut previous = Token::Mark(' ');
    for (line, token) in tokens {
        match token {
            Token::Mark('(' | '[') => brackets += 1,
            Token::Mark(')' | ']') => brackets = brackets.saturating_sub(1),
            Token::Mark('<') if !in_body && braces == 0 => angles += 1,
            // The arrow of a function type closes nothing.
            Token::Mark('>') if !in_body && braces == 0 && previous != Token::Mark('-') => {
                angles = angles.saturating_sub(1);
            }
            Token::Mark(';') if !in_body && brackets == 0 && braces == 0 => return None,
            Token::Mark('{') => {
                // `Foo<{ N }>` and `[u8; { N }]` are not bodies.
                in_body |= angles == 0 && brackets == 0 && braces == 0;
                braces += 1;
            }
            Token::Mark('}') => {
                braces = braces.saturating_sub(1);
                if in_body && braces == 0 {
                    return Some(*line);
                }
            }
            Token::Mark(_) | Token::Word(_) => {}
        }
        previous = *token;
    }
    None
}

/// Words and marks with their lines, after a mark that stands before the file.
fn tokens(code: &str) -> Vec<(usize, Token<'_>)> {
    let mut tokens = vec![(1, Token::Mark(' '))];
    let mut line = 1;
    let mut chars = code.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        if c == '\n' {
            line += 1;
        } else if is_word(c) {
            let end = end_of_word(&mut chars, start + c.len_utf8());
            tokens.push((line, Token::Word(code.get(start..end).unwrap_or_default())));
        } else if !c.is_whitespace() {
            tokens.push((line, Token::Mark(c)));
        }
    }
    tokens
}

fn end_of_word(chars: &mut Peekable<CharIndices<'_>>, mut end: usize) -> usize {
    while let Some((at, c)) = chars.next_if(|(_, c)| is_word(*c)) {
        end = at + c.len_utf8();
    }
    end
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::mask::mask;

    fn lengths(text: &str) -> Vec<(String, usize, usize)> {
        let masked = mask(text);
        let found = functions(&masked.code);
        found
            .into_iter()
            .map(|f| (f.name.to_owned(), f.line, f.lines))
            .collect()
    }

    #[test]
    fn length_is_from_the_signature_to_the_closing_brace() {
        let text = "struct A;\n\nfn f(\n    a: u8,\n) -> u8\nwhere\n    A: B,\n{\n    a\n}\n";
        assert_eq!(lengths(text), [("f".to_owned(), 3, 8)]);
    }

    #[test]
    fn braces_in_literals_and_comments_do_not_count() {
        let text = "fn f() {\n  let a = \"}\"; // }\n  let b = '}'; /* } */\n  r#\"}\"#;\n}\n";
        assert_eq!(lengths(text), [("f".to_owned(), 1, 5)]);
    }

    #[test]
    fn braces_in_a_signature_are_not_the_body() {
        let text = "fn f<const N: usize>(a: A<{ N }>, b: [u8; { N }]) -> A<{ N }> {\n  a\n}\n";
        assert_eq!(lengths(text), [("f".to_owned(), 1, 3)]);
        let arrow = "fn g(h: impl Fn() -> u8) -> Box<dyn Fn() -> u8> {\n  x < y;\n}\n";
        assert_eq!(lengths(arrow), [("g".to_owned(), 1, 3)]);
    }

    #[test]
    fn declarations_types_and_raw_names_have_no_body() {
        let text = "trait T { fn f(a: [u8; 2]); }\ntype P = fn(u8) -> u8;\nlet r#fn = r#fn {};\n";
        assert_eq!(lengths(text), []);
    }

    #[test]
    fn nested_functions_are_found_too() {
        let text = "fn outer() {\n  fn inner() {\n  }\n  || {};\n}\n";
        assert_eq!(
            lengths(text),
            [("outer".to_owned(), 1, 5), ("inner".to_owned(), 2, 2)],
            "a long function could hide inside another"
        );
    }
}
