//! The judge: what a history shows that must not be.
//!
//! Pure: the same history has the same violations. Its tests are histories made by hand, one for every
//! kind of violation, because a checker that never fails proves nothing.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use super::history::{Broken, Delivery, History, Message, Outcome, Post, Reader};

/// Something that was promised not to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// Acknowledged, and a reader that read to the end never saw it.
    Lost {
        /// Who never saw it.
        reader: String,
        /// What.
        message: Message,
    },
    /// Shown twice to one reader.
    Twice {
        /// To whom.
        reader: String,
        /// What.
        message: Message,
    },
    /// A message of a writer after a later one of the same writer.
    Order {
        /// To whom.
        reader: String,
        /// What came too late.
        message: Message,
        /// After which.
        after: Message,
    },
    /// An answer to a message that the reader had not been shown.
    AnswerFirst {
        /// To whom.
        reader: String,
        /// The answer.
        answer: Message,
        /// What it answers.
        question: Message,
    },
    /// Nobody sent it.
    Invented {
        /// To whom.
        reader: String,
        /// What.
        message: Message,
    },
    /// A client's connection ended, and not by the client.
    Broken {
        /// Whose.
        client: String,
        /// How.
        how: String,
    },
    /// A write was refused although servers were there.
    Refused {
        /// Which.
        message: Message,
        /// The status.
        status: u16,
    },
    /// A write had no answer.
    Unanswered {
        /// Which.
        message: Message,
    },
    /// A token of 64 characters or more.
    LongToken {
        /// Which.
        token: String,
    },
    /// A server's copy, after healing, lacks what another server's has, or what was acknowledged.
    Lacks {
        /// Whose.
        server: String,
        /// What.
        message: Message,
    },
    /// A server's copy shows a message twice.
    CopyTwice {
        /// Whose.
        server: String,
        /// What.
        message: Message,
    },
}

impl Violation {
    /// The row of the table in which it is counted.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Lost { .. } => "acknowledged, lost",
            Self::Twice { .. } => "shown twice",
            Self::Order { .. } => "writer's order broken",
            Self::AnswerFirst { .. } => "answer before question",
            Self::Invented { .. } => "shown, never sent",
            Self::Broken { .. } => "client connection broken",
            Self::Refused { .. } => "write refused",
            Self::Unanswered { .. } => "write unanswered",
            Self::LongToken { .. } => "token of 64 or more",
            Self::Lacks { .. } => "copies differ",
            Self::CopyTwice { .. } => "twice in a copy",
        }
    }

    /// The message it is about, when it is about one.
    #[must_use]
    pub fn message(&self) -> Option<Message> {
        match self {
            Self::Lost { message, .. }
            | Self::Twice { message, .. }
            | Self::Order { message, .. }
            | Self::AnswerFirst {
                answer: message, ..
            }
            | Self::Invented { message, .. }
            | Self::Refused { message, .. }
            | Self::Unanswered { message }
            | Self::Lacks { message, .. }
            | Self::CopyTwice { message, .. } => Some(*message),
            Self::Broken { .. } | Self::LongToken { .. } => None,
        }
    }

    /// All rows, in their order.
    pub const KINDS: [&'static str; 11] = [
        "acknowledged, lost",
        "shown twice",
        "writer's order broken",
        "answer before question",
        "shown, never sent",
        "client connection broken",
        "write refused",
        "write unanswered",
        "token of 64 or more",
        "copies differ",
        "twice in a copy",
    ];
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { reader, message } => write!(
                f,
                "{reader} was never shown {message}, which was acknowledged"
            ),
            Self::Twice { reader, message } => write!(f, "{reader} was shown {message} twice"),
            Self::Order {
                reader,
                message,
                after,
            } => write!(f, "{reader} was shown {message} after {after}"),
            Self::AnswerFirst {
                reader,
                answer,
                question,
            } => {
                write!(
                    f,
                    "{reader} was shown {answer}, which answers {question}, before it"
                )
            }
            Self::Invented { reader, message } => {
                write!(f, "{reader} was shown {message}, which nobody sent")
            }
            Self::Broken { client, how } => {
                write!(f, "the connection of {client} was broken: {how}")
            }
            Self::Refused { message, status } => write!(f, "{message} was refused with {status}"),
            Self::Unanswered { message } => write!(f, "{message} had no answer"),
            Self::LongToken { token } => {
                write!(f, "a token of {} characters: {token}", token.len())
            }
            Self::Lacks { server, message } => write!(f, "the copy of {server} lacks {message}"),
            Self::CopyTwice { server, message } => {
                write!(f, "the copy of {server} has {message} twice")
            }
        }
    }
}

/// How many messages were shown twice in the case that the promises except (docs/chat.md): the reader went
/// over to another director in between, and the write was not acknowledged yet when its node died.
#[must_use]
pub fn excepted(history: &History) -> usize {
    let posts = posts(history);
    let of = |reader: &Reader| {
        let shown = shown_twice(reader);
        let excepted = shown.filter(|(first, again)| {
            let post = posts.get(&again.message).copied();
            is_excepted(reader, *first, *again, post, &history.deaths)
        });
        excepted.count()
    };
    history.readers.iter().map(of).sum()
}

fn posts(history: &History) -> HashMap<Message, &Post> {
    let posts = history.posts.iter();
    posts.map(|post| (post.message, post)).collect()
}

/// What was shown before, with when it was first.
fn shown_twice(reader: &Reader) -> impl Iterator<Item = (Delivery, Delivery)> {
    let mut first: HashMap<Message, Delivery> = HashMap::new();
    reader.deliveries.iter().filter_map(move |&delivery| {
        let before = first.get(&delivery.message).copied();
        first.entry(delivery.message).or_insert(delivery);
        before.map(|before| (before, delivery))
    })
}

fn is_excepted(
    reader: &Reader,
    first: Delivery,
    again: Delivery,
    post: Option<&Post>,
    deaths: &[Duration],
) -> bool {
    let Some(post) = post else {
        return false;
    };
    let acknowledged_by = |at: Duration| match post.outcome {
        Outcome::Acknowledged(acknowledged) => acknowledged <= at,
        Outcome::Refused(_) | Outcome::Unanswered => false,
    };
    let under_way = |&death: &Duration| post.sent <= death && !acknowledged_by(death);
    reader.director_at(first.at) != reader.director_at(again.at) && deaths.iter().any(under_way)
}

/// All violations, sorted. What [`excepted`] counts is none. An answer that a server released, as it may, and as the history counts, is
/// none: as many answers (not readers of them) as there were releases are let through.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let acknowledged: Vec<Message> = history
        .posts
        .iter()
        .filter(|post| matches!(post.outcome, Outcome::Acknowledged(_)))
        .map(|post| post.message)
        .collect();
    let answers: HashMap<Message, Option<Message>> = history
        .posts
        .iter()
        .map(|post| (post.message, post.answers))
        .collect();
    let posts = posts(history);
    let mut found = Vec::new();
    for reader in &history.readers {
        check_reader(reader, &answers, &mut found);
        let twice = shown_twice(reader).filter(|(first, again)| {
            let post = posts.get(&again.message).copied();
            !is_excepted(reader, *first, *again, post, &history.deaths)
        });
        found.extend(twice.map(|(_, again)| Violation::Twice {
            reader: reader.name.clone(),
            message: again.message,
        }));
        if reader.complete {
            let seen: HashSet<Message> = reader.deliveries.iter().map(|d| d.message).collect();
            let lost = acknowledged.iter().filter(|m| !seen.contains(m));
            found.extend(lost.map(|m| Violation::Lost {
                reader: reader.name.clone(),
                message: *m,
            }));
        }
    }
    check_posts(history, &mut found);
    check_copies(history, &acknowledged, &mut found);
    let broken = |b: &Broken| Violation::Broken {
        client: b.client.clone(),
        how: b.how.clone(),
    };
    found.extend(history.broken.iter().map(broken));
    found.extend(
        history
            .long_tokens
            .iter()
            .map(|t| Violation::LongToken { token: t.clone() }),
    );
    forgive_releases(history.releases, &mut found);
    found.sort();
    found
}

fn check_reader(
    reader: &Reader,
    answers: &HashMap<Message, Option<Message>>,
    found: &mut Vec<Violation>,
) {
    let name = || reader.name.clone();
    let mut seen = HashSet::new();
    let mut latest: HashMap<u16, Message> = HashMap::new();
    for message in reader.deliveries.iter().map(|d| d.message) {
        if !seen.insert(message) {
            continue; // its order was judged the first time
        }
        match answers.get(&message) {
            None => found.push(Violation::Invented {
                reader: name(),
                message,
            }),
            Some(Some(question)) if !seen.contains(question) => {
                found.push(Violation::AnswerFirst {
                    reader: name(),
                    answer: message,
                    question: *question,
                });
            }
            Some(_) => {}
        }
        let latest = latest.entry(message.writer).or_insert(message);
        if *latest > message {
            found.push(Violation::Order {
                reader: name(),
                message,
                after: *latest,
            });
        }
        *latest = message.max(*latest);
    }
}

fn check_posts(history: &History, found: &mut Vec<Violation>) {
    for post in &history.posts {
        let message = post.message;
        match post.outcome {
            Outcome::Acknowledged(_) => {}
            Outcome::Refused(status) => found.push(Violation::Refused { message, status }),
            Outcome::Unanswered => found.push(Violation::Unanswered { message }),
        }
    }
}

fn check_copies(history: &History, acknowledged: &[Message], found: &mut Vec<Violation>) {
    if history.replicas.is_empty() {
        return;
    }
    let everywhere: BTreeSet<Message> = history
        .replicas
        .iter()
        .flat_map(|replica| replica.messages.iter().copied())
        .chain(acknowledged.iter().copied())
        .collect();
    for replica in &history.replicas {
        let server = || replica.server.clone();
        let mut here = HashSet::new();
        for message in replica.messages.iter().copied() {
            if !here.insert(message) {
                found.push(Violation::CopyTwice {
                    server: server(),
                    message,
                });
            }
        }
        let lacking = everywhere.iter().filter(|m| !here.contains(m));
        found.extend(lacking.map(|m| Violation::Lacks {
            server: server(),
            message: *m,
        }));
    }
}

fn forgive_releases(releases: u64, found: &mut Vec<Violation>) {
    let first = |violation: &Violation| match violation {
        Violation::AnswerFirst { answer, .. } => Some(*answer),
        Violation::Lost { .. }
        | Violation::Twice { .. }
        | Violation::Order { .. }
        | Violation::Invented { .. }
        | Violation::Broken { .. }
        | Violation::Refused { .. }
        | Violation::Unanswered { .. }
        | Violation::LongToken { .. }
        | Violation::Lacks { .. }
        | Violation::CopyTwice { .. } => None,
    };
    let answers: BTreeSet<Message> = found.iter().filter_map(first).collect();
    if u64::try_from(answers.len()).is_ok_and(|count| count <= releases) {
        found.retain(|violation| first(violation).is_none());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::history::{Opened, Replica};

    fn message(text: &str) -> Message {
        text.parse().unwrap()
    }

    fn messages(text: &str) -> Vec<Message> {
        text.split_whitespace().map(message).collect()
    }

    fn reader(name: &str, shown: &str) -> Reader {
        let deliveries = messages(shown).into_iter().map(|message| Delivery {
            at: Duration::ZERO,
            message,
        });
        Reader {
            name: name.to_owned(),
            deliveries: deliveries.collect(),
            complete: true,
            ..Reader::default()
        }
    }

    fn copy(server: &str, shown: &str) -> Replica {
        Replica {
            server: server.to_owned(),
            messages: messages(shown),
        }
    }

    /// `w1.2` answers `w0.1`; all are acknowledged, shown to all and on every server.
    fn good() -> History {
        let post = |text: &str, answers: Option<&str>| Post {
            message: message(text),
            answers: answers.map(message),
            sent: Duration::ZERO,
            outcome: Outcome::Acknowledged(Duration::from_millis(1)),
        };
        History {
            posts: vec![
                post("w0.1", None),
                post("w1.1", None),
                post("w1.2", Some("w0.1")),
                post("w0.2", None),
            ],
            readers: vec![
                reader("r0", "w0.1 w1.1 w1.2 w0.2"),
                reader("r1", "w1.1 w0.1 w0.2 w1.2"),
            ],
            replicas: vec![
                copy("a", "w0.1 w1.1 w1.2 w0.2"),
                copy("b", "w1.1 w0.1 w1.2 w0.2"),
            ],
            ..History::default()
        }
    }

    /// The only kinds of violation that a history shows after `change`.
    fn after(change: impl FnOnce(&mut History)) -> Vec<Violation> {
        let mut history = good();
        change(&mut history);
        check(&history)
    }

    fn to_r0(text: &str) -> (String, Message) {
        ("r0".to_owned(), message(text))
    }

    #[test]
    fn a_good_history_shows_nothing() {
        assert_eq!(check(&good()), []);
    }

    /// `r0` is shown `w0.1` at 10 and, through the other director, again at 100.
    fn moved_and_shown_again(death: u64, acknowledged: u64) -> History {
        let ms = Duration::from_millis;
        let mut history = good();
        history.posts[0].sent = ms(5);
        history.posts[0].outcome = Outcome::Acknowledged(ms(acknowledged));
        let mut r0 = reader("r0", "w0.1 w1.1 w1.2 w0.2 w0.1");
        r0.deliveries[0].at = ms(10);
        r0.deliveries[4].at = ms(100);
        r0.opened = [(0, 0), (50, 1)]
            .map(|(at, director)| Opened {
                at: ms(at),
                director,
                local: String::new(),
            })
            .to_vec();
        history.readers[0] = r0;
        history.deaths = vec![ms(death)];
        history
    }

    #[test]
    fn what_was_under_way_at_a_death_may_be_shown_again_through_another_director_and_is_counted() {
        let excused = moved_and_shown_again(20, 60);
        assert_eq!((check(&excused), excepted(&excused)), (vec![], 1));
        let acknowledged = moved_and_shown_again(20, 15);
        assert_eq!(
            (check(&acknowledged).len(), excepted(&acknowledged)),
            (1, 0)
        );
        let later = moved_and_shown_again(2, 60);
        assert_eq!((check(&later).len(), excepted(&later)), (1, 0));
        let mut stayed = moved_and_shown_again(20, 60);
        stayed.readers[0].opened[1].director = 0;
        assert_eq!((check(&stayed).len(), excepted(&stayed)), (1, 0));
    }

    #[test]
    fn an_acknowledged_message_that_a_reader_never_saw_is_lost() {
        let found = after(|h| h.readers[0] = reader("r0", "w0.1 w1.1 w1.2"));
        let (reader, message) = to_r0("w0.2");
        assert_eq!(found, [Violation::Lost { reader, message }]);
    }

    #[test]
    fn a_reader_that_left_has_lost_nothing_and_a_refused_message_cannot_be_lost() {
        let found = after(|h| {
            h.readers[0] = Reader {
                complete: false,
                ..reader("r0", "w0.1 w1.1")
            };
        });
        assert_eq!(found, []);
        let found = after(|h| {
            h.posts[3].outcome = Outcome::Refused(503);
            h.readers[0] = reader("r0", "w0.1 w1.1 w1.2");
        });
        assert_eq!(
            found,
            [Violation::Refused {
                message: message("w0.2"),
                status: 503
            }]
        );
    }

    #[test]
    fn a_message_shown_again_is_told_once() {
        let found = after(|h| h.readers[0] = reader("r0", "w0.1 w1.1 w1.2 w0.2 w0.1"));
        let (reader, message) = to_r0("w0.1");
        assert_eq!(found, [Violation::Twice { reader, message }]);
    }

    #[test]
    fn a_writers_later_message_first_breaks_its_order() {
        let found = after(|h| h.readers[0] = reader("r0", "w0.2 w0.1 w1.1 w1.2"));
        let (reader, late) = to_r0("w0.1");
        assert_eq!(
            found,
            [Violation::Order {
                reader,
                message: late,
                after: message("w0.2")
            }]
        );
    }

    #[test]
    fn an_answer_before_its_question_is_found_unless_a_server_released_it() {
        let swap = |h: &mut History| h.readers[0] = reader("r0", "w1.1 w1.2 w0.1 w0.2");
        let (reader, answer) = to_r0("w1.2");
        let first = Violation::AnswerFirst {
            reader,
            answer,
            question: message("w0.1"),
        };
        assert_eq!(after(swap), [first]);
        let released = |h: &mut History| {
            swap(h);
            h.releases = 1;
        };
        assert_eq!(after(released), []);
    }

    #[test]
    fn releases_do_not_hide_more_answers_than_there_were() {
        let found = after(|h| {
            h.posts[3].answers = Some(message("w1.2"));
            h.readers[0] = reader("r0", "w1.1 w1.2 w0.1 w0.2");
            h.readers[1] = reader("r1", "w1.1 w0.1 w0.2 w1.2");
            h.releases = 1;
        });
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_message_that_nobody_sent_is_found() {
        let found = after(|h| h.readers[0] = reader("r0", "w0.1 w1.1 w1.2 w0.2 w7.1"));
        let (reader, message) = to_r0("w7.1");
        assert_eq!(found, [Violation::Invented { reader, message }]);
    }

    #[test]
    fn a_broken_connection_and_a_missing_answer_are_found() {
        let broken = Broken {
            at: Duration::ZERO,
            client: "r0".to_owned(),
            how: "reset".to_owned(),
        };
        let found = after(|h| {
            h.broken.push(broken);
            h.posts[0].outcome = Outcome::Unanswered;
        });
        let (client, how) = ("r0".to_owned(), "reset".to_owned());
        let unanswered = Violation::Unanswered {
            message: message("w0.1"),
        };
        assert_eq!(found, [Violation::Broken { client, how }, unanswered]);
    }

    #[test]
    fn a_token_of_64_characters_is_too_long() {
        assert_eq!(after(|h| h.token(&"x".repeat(63))), []);
        let token = "x".repeat(64);
        assert_eq!(
            after(|h| h.token(&token)),
            [Violation::LongToken {
                token: token.clone()
            }]
        );
    }

    #[test]
    fn copies_that_differ_are_found_even_if_nobody_was_told_of_the_message() {
        let server = "b".to_owned();
        let found = after(|h| h.replicas[1] = copy("b", "w1.1 w0.1 w1.2"));
        assert_eq!(
            found,
            [Violation::Lacks {
                server: server.clone(),
                message: message("w0.2")
            }]
        );
        let found = after(|h| {
            h.posts[3].outcome = Outcome::Refused(500);
            h.replicas[1] = copy("b", "w1.1 w0.1 w1.2");
        });
        let refused = Violation::Refused {
            message: message("w0.2"),
            status: 500,
        };
        assert_eq!(
            found,
            [
                refused,
                Violation::Lacks {
                    server,
                    message: message("w0.2")
                }
            ]
        );
        let found = after(|h| {
            h.replicas = vec![copy("a", "w0.1 w1.1 w1.2"), copy("b", "w0.1 w1.1 w1.2")];
        });
        assert_eq!(found.len(), 2, "acknowledged, and on no server: {found:?}");
    }

    #[test]
    fn a_message_twice_in_a_copy_is_found() {
        let found = after(|h| h.replicas[0] = copy("a", "w0.1 w1.1 w1.2 w0.2 w1.1"));
        let (server, message) = ("a".to_owned(), message("w1.1"));
        assert_eq!(found, [Violation::CopyTwice { server, message }]);
    }

    #[test]
    fn every_kind_has_its_row() {
        let found = after(|h| {
            h.posts[3].outcome = Outcome::Refused(503);
            h.readers[0] = reader("r0", "w1.2 w1.2 w9.9");
            h.token(&"x".repeat(80));
        });
        for violation in found {
            assert!(Violation::KINDS.contains(&violation.kind()), "{violation}");
        }
    }
}
