//! Operating system commands: title, working directory, hyperlinks, the shell's marks; and the director's
//! own, which never reach the terminal.

use std::collections::VecDeque;

use memchr::memchr;

/// Something that the host said by the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mark {
    /// OSC 133;A: a prompt begins.
    Prompt,
    /// OSC 133;B: the prompt ends, what is typed follows.
    Input,
    /// OSC 133;C: the command runs.
    Running,
    /// OSC 133;D: it ended, with this exit status if the shell says.
    Finished(Option<i32>),
    /// The director's own OSC, with what follows its number.
    Own(String),
}

/// So many marks are kept for whoever takes them; older ones go first.
const MAX_MARKS: usize = 32;
/// The longest title that is kept.
const MAX_TITLE: usize = 256;

/// What came by OSC.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub(super) marks: VecDeque<Mark>,
    pub(super) cwd: Option<Vec<u8>>,
    pub(super) title: Option<String>,
    /// A hyperlink (OSC 8) is open.
    pub(super) link: bool,
    /// Which colours were changed: see [`COLORS`].
    pub(super) colors: u8,
}

/// The OSCs that change colours and those that undo it: the palette, foreground, background, cursor.
pub(super) const COLORS: [(&[u8], &str); 4] = [
    (b"4", "104"),
    (b"10", "110"),
    (b"11", "111"),
    (b"12", "112"),
];

impl Said {
    pub(super) fn mark(&mut self, mark: Mark) {
        if self.marks.len() == MAX_MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back(mark);
    }

    /// Takes an OSC, without its introducer and terminator.
    pub(super) fn take(&mut self, osc: &[u8]) {
        let (command, rest) = match memchr(b';', osc) {
            Some(at) => (&osc[..at], &osc[at + 1..]),
            None => (osc, &osc[osc.len()..]),
        };
        match command {
            b"0" | b"2" if rest.len() <= MAX_TITLE => {
                self.title = Some(String::from_utf8_lossy(rest).into_owned());
            }
            b"7" => {
                if let Some(path) = directory(rest) {
                    self.cwd = Some(path);
                }
            }
            // OSC 8 ; parameters ; URI: an empty URI ends the link.
            b"8" => self.link = memchr(b';', rest).is_some_and(|at| at + 1 < rest.len()),
            b"133" => {
                if let Some(mark) = shell_mark(rest) {
                    self.mark(mark);
                }
            }
            _ => self.take_color(command, rest),
        }
    }

    fn take_color(&mut self, command: &[u8], rest: &[u8]) {
        for (bit, (set, unset)) in COLORS.iter().enumerate() {
            if command == *set && !rest.ends_with(b"?") {
                self.colors |= 1 << bit;
            } else if command == unset.as_bytes() && rest.is_empty() {
                self.colors &= !(1 << bit);
            }
        }
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.marks.capacity() * size_of::<Mark>()
            + self.cwd.as_ref().map_or(0, Vec::capacity)
            + self.title.as_ref().map_or(0, String::capacity)
    }
}

fn shell_mark(text: &[u8]) -> Option<Mark> {
    let mut parts = text.split(|byte| *byte == b';');
    match parts.next()? {
        b"A" => Some(Mark::Prompt),
        b"B" => Some(Mark::Input),
        b"C" => Some(Mark::Running),
        b"D" => {
            let status = parts.next().and_then(|part| std::str::from_utf8(part).ok());
            Some(Mark::Finished(
                status.and_then(|status| status.parse().ok()),
            ))
        }
        _ => None,
    }
}

/// The path of a `file:` URL (or a bare path): absolute, its percent signs undone, without control
/// characters (it may be typed into a shell one day). `None` for anything else.
fn directory(url: &[u8]) -> Option<Vec<u8>> {
    let path = match url.strip_prefix(b"file://") {
        Some(rest) => &rest[memchr(b'/', rest)?..],
        None => url,
    };
    let mut bytes = path.iter().copied();
    let mut decoded = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let (high, low) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
                high << 4 | low
            }
            _ => byte,
        });
    }
    let sane = decoded.first() == Some(&b'/') && !decoded.iter().any(u8::is_ascii_control);
    sane.then_some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Takes the director's own OSC out of what goes to the terminal.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    /// ESC ] number ;
    prefix: Vec<u8>,
    state: FilterState,
    word: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FilterState {
    /// So many bytes of the prefix were read and held back.
    Prefix(usize),
    /// Inside the word.
    Word,
    /// ESC inside the word.
    WordEscape,
}

/// The longest word of the director's own OSC; of a longer one the rest is lost.
const MAX_WORD: usize = 256;

impl Filter {
    pub(super) fn new(number: u32) -> Self {
        Self {
            prefix: format!("\x1b]{number};").into_bytes(),
            state: FilterState::Prefix(0),
            word: Vec::new(),
        }
    }

    /// Copies `bytes` to `out` without the director's own OSCs, whose words go to `words`.
    pub(super) fn run(&mut self, bytes: &[u8], out: &mut Vec<u8>, mut words: impl FnMut(String)) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                FilterState::Prefix(0) => {
                    let end = memchr(0x1B, &bytes[at..]).map_or(bytes.len(), |found| at + found);
                    out.extend_from_slice(&bytes[at..end]);
                    at = end + 1;
                    if end < bytes.len() {
                        self.state = FilterState::Prefix(1);
                    }
                }
                FilterState::Prefix(read) if byte == self.prefix[read] => {
                    at += 1;
                    self.state = if read + 1 == self.prefix.len() {
                        FilterState::Word
                    } else {
                        FilterState::Prefix(read + 1)
                    };
                }
                // Not ours: what was held back goes, the byte is looked at again.
                FilterState::Prefix(read) => {
                    out.extend_from_slice(&self.prefix[..read]);
                    self.state = FilterState::Prefix(0);
                }
                FilterState::Word => {
                    at += 1;
                    match byte {
                        0x07 => words(self.end()),
                        0x18 | 0x1A => drop(self.end()),
                        0x1B => self.state = FilterState::WordEscape,
                        _ if self.word.len() < MAX_WORD => self.word.push(byte),
                        _ => {}
                    }
                }
                FilterState::WordEscape if byte == b'\\' => {
                    at += 1;
                    words(self.end());
                }
                // Broken off by another sequence, whose ESC was read.
                FilterState::WordEscape => {
                    drop(self.end());
                    self.state = FilterState::Prefix(1);
                }
            }
        }
    }

    /// Forgets what was held back: the host it came from is gone.
    pub(super) fn reset(&mut self) {
        drop(self.end());
    }

    fn end(&mut self) -> String {
        self.state = FilterState::Prefix(0);
        String::from_utf8_lossy(&std::mem::take(&mut self.word)).into_owned()
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.prefix.capacity() + self.word.capacity()
    }
}
