//! The chat's clients: writers that answer what they have read, and readers that move about.
//!
//! They are plain HTTP clients that know nothing of a group. Every one ends when it is told to; a
//! connection that ends before that is noted as broken, and the client goes on with another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use director_tests::http::{Answer, Connection, Event, Events};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::chance::Chance;
use super::history::{Broken, Delivery, History, Message, Opened, Outcome, Post};

/// How long a client waits for an answer before it counts as none.
const ANSWER: Duration = Duration::from_secs(30);
/// Before a broken connection is opened again.
const AGAIN: Duration = Duration::from_millis(50);

/// What the clients share.
pub struct Chat {
    /// The directors' addresses.
    pub directors: Vec<String>,
    /// The room's stream: `rooms/...`.
    pub room: String,
    /// All times count from here.
    pub start: Instant,
    history: Mutex<History>,
    /// What each writer's eyes have seen last of the others.
    seen: Vec<Mutex<Option<Message>>>,
    writing: watch::Sender<bool>,
    reading: watch::Sender<bool>,
}

/// How a reader behaves.
#[derive(Debug, Clone)]
pub struct Habits {
    /// Its index in the history.
    pub index: usize,
    /// The director that it begins with.
    pub director: usize,
    /// The writer whose eyes it is.
    pub eyes_of: Option<u16>,
    /// It connects anew about this often; `None` never.
    pub moves: Option<Duration>,
    /// When it does, it may go through another director.
    pub wanders: bool,
    /// It reads by long-poll rather than by events.
    pub polls: bool,
    /// Now and then it forgets its place and reads the room from the start, as somebody else.
    pub begins_anew: bool,
}

impl Chat {
    /// A chat that nobody has joined.
    #[must_use]
    pub fn new(directors: Vec<String>, room: &str, writers: u16) -> Arc<Self> {
        Arc::new(Self {
            directors,
            room: room.to_owned(),
            start: Instant::now(),
            history: Mutex::default(),
            seen: (0..writers).map(|_| Mutex::default()).collect(),
            writing: watch::Sender::new(true),
            reading: watch::Sender::new(true),
        })
    }

    /// What has happened until now.
    pub fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the start.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Writers end after the answer that they are waiting for.
    pub fn stop_writing(&self) {
        self.writing.send_replace(false);
    }

    /// Readers end at once.
    pub fn stop_reading(&self) {
        self.reading.send_replace(false);
    }

    /// How many acknowledged messages some reader that is still there has not been shown.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        let history = self.history();
        let acknowledged = history
            .posts
            .iter()
            .filter(|p| matches!(p.outcome, Outcome::Acknowledged(_)));
        let acknowledged: std::collections::HashSet<Message> =
            acknowledged.map(|p| p.message).collect();
        let missing = history
            .readers
            .iter()
            .filter(|reader| reader.complete)
            .map(|reader| {
                let shown: std::collections::HashSet<Message> =
                    reader.deliveries.iter().map(|d| d.message).collect();
                acknowledged.difference(&shown).count()
            });
        missing.sum()
    }

    fn broken(&self, client: &str, how: &str) {
        let (at, client, how) = (self.now(), client.to_owned(), how.to_owned());
        self.history().broken.push(Broken { at, client, how });
    }

    fn last_seen(&self, writer: u16) -> Option<Message> {
        *self
            .seen
            .get(usize::from(writer))?
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a message every `every`, until told to stop. A third of them answer what the writer's eyes saw
/// last.
pub async fn write(
    chat: Arc<Chat>,
    writer: u16,
    director: usize,
    every: Duration,
    mut chance: Chance,
) {
    let name = format!("writer w{writer}");
    let mut writing = chat.writing.subscribe();
    let mut connection: Option<Connection> = None;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 1.. {
        tokio::select! {
            biased;
            _stopped = writing.wait_for(|writing| !writing) => return,
            _tick = ticks.tick() => {}
        }
        let answers = chat.last_seen(writer).filter(|_| chance.once_in(3));
        let message = Message { writer, number };
        let post = {
            let mut history = chat.history();
            let sent = chat.now();
            history.posts.push(Post {
                message,
                answers,
                sent,
                outcome: Outcome::Unanswered,
            });
            history.posts.len() - 1
        };
        match timeout(
            ANSWER,
            send(&chat, &mut connection, director, message, answers),
        )
        .await
        {
            Ok(Ok(answer)) => note_answer(&chat, post, &answer),
            Ok(Err(error)) => {
                chat.broken(&name, &error.to_string());
                connection = None;
            }
            Err(_late) => {
                chat.broken(&name, &format!("no answer within {ANSWER:?}"));
                connection = None;
            }
        }
    }
}

async fn send(
    chat: &Chat,
    connection: &mut Option<Connection>,
    director: usize,
    message: Message,
    answers: Option<Message>,
) -> std::io::Result<Answer> {
    let text = match answers {
        Some(question) => format!("{message} re {question}"),
        None => message.to_string(),
    };
    let at = jiff::Timestamp::now().to_string();
    let body =
        serde_json::json!({ "from": format!("w{}", message.writer), "text": text, "at": at });
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(Connection::open(&chat.directors[director]).await?),
    };
    let target = format!("/v1/stream/{}", chat.room);
    let headers = [("Content-Type", "application/json")];
    connection
        .ask("POST", &target, &headers, Some(body.to_string().as_bytes()))
        .await
}

fn note_answer(chat: &Chat, post: usize, answer: &Answer) {
    let now = chat.now();
    let mut history = chat.history();
    if let Some(token) = answer.header("stream-next-offset") {
        history.token(token);
    }
    let outcome = match answer.status() {
        200 | 204 => Outcome::Acknowledged(now),
        status => {
            eprintln!(
                "{}: {status} {}",
                history.posts[post].message,
                answer.text()
            );
            Outcome::Refused(status)
        }
    };
    history.posts[post].outcome = outcome;
}

/// A reader's place and what it does next.
struct Place {
    offset: String,
    director: usize,
    index: usize,
}

/// Why a reader's connection was given up.
enum Left {
    /// It was told to stop.
    Stopped,
    /// It moves on, of itself.
    Moves,
    /// It ended, and not by the reader.
    Broken(String),
}

/// Reads until told to stop.
pub async fn read(chat: Arc<Chat>, habits: Habits, mut chance: Chance) {
    let mut place = Place {
        offset: "-1".to_owned(),
        director: habits.director,
        index: habits.index,
    };
    loop {
        let stay = habits
            .moves
            .map(|mean| chance.between(mean / 2, mean * 3 / 2));
        let left = match habits.polls {
            true => poll(&chat, &habits, &mut place, stay).await,
            false => follow(&chat, &habits, &mut place, stay).await,
        };
        match left {
            Left::Stopped => return,
            Left::Moves => {
                if habits.wanders {
                    place.director = (place.director + 1) % chat.directors.len();
                }
                if habits.begins_anew && chance.once_in(4) {
                    begin_anew(&chat, &mut place);
                }
            }
            Left::Broken(how) => {
                let name = chat.history().readers[place.index].name.clone();
                chat.broken(&name, &how);
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// The reader becomes another one, which starts at the start.
fn begin_anew(chat: &Chat, place: &mut Place) {
    let now = chat.now();
    let mut history = chat.history();
    history.readers[place.index].complete = false;
    history.readers[place.index].left = Some(now);
    let name = format!("{}'", history.readers[place.index].name);
    history.readers.push(super::history::Reader {
        name,
        complete: true,
        ..Default::default()
    });
    place.index = history.readers.len() - 1;
    place.offset = "-1".to_owned();
}

/// One live read by events.
async fn follow(chat: &Chat, habits: &Habits, place: &mut Place, stay: Option<Duration>) -> Left {
    let mut reading = chat.reading.subscribe();
    let target = format!("/v1/stream/{}?offset={}&live=sse", chat.room, place.offset);
    let opening = timeout(
        ANSWER,
        Events::open(&chat.directors[place.director], &target, &[]),
    );
    let mut events = tokio::select! {
        biased;
        _stopped = reading.wait_for(|reading| !reading) => return Left::Stopped,
        opened = opening => match opened {
            Ok(Ok(events)) => events,
            Ok(Err(error)) => return Left::Broken(format!("opening: {error}")),
            Err(_late) => return Left::Broken(format!("opening: no answer within {ANSWER:?}")),
        },
    };
    note_opened(chat, place, events.local());
    let leave_at = stay.map(|stay| Instant::now() + stay);
    // Shown is what a control event has followed: until then the reader has no place to go on from.
    let mut pending: Vec<Delivery> = Vec::new();
    loop {
        let event = tokio::select! {
            biased;
            _stopped = reading.wait_for(|reading| !reading) => return Left::Stopped,
            event = events.next() => event,
        };
        match event {
            Ok(Some(event)) if event.name == "data" => match messages(&event.data) {
                Ok(messages) => {
                    let at = chat.now();
                    pending.extend(messages.into_iter().map(|message| Delivery { at, message }));
                }
                Err(what) => return Left::Broken(what),
            },
            Ok(Some(event)) if event.name == "control" => {
                if let Err(what) = note_control(chat, habits, place, &event, &mut pending) {
                    return Left::Broken(what);
                }
                if leave_at.is_some_and(|at| Instant::now() >= at) {
                    return Left::Moves;
                }
            }
            Ok(Some(event)) => return Left::Broken(format!("an event `{}`", event.name)),
            Ok(None) => return Left::Broken("the answer was ended".to_owned()),
            Err(error) => return Left::Broken(error.to_string()),
        }
    }
}

fn note_control(
    chat: &Chat,
    habits: &Habits,
    place: &mut Place,
    event: &Event,
    pending: &mut Vec<Delivery>,
) -> Result<(), String> {
    let control: Value =
        serde_json::from_str(&event.data).map_err(|e| format!("a control event: {e}"))?;
    let token = control["streamNextOffset"]
        .as_str()
        .ok_or("a control event without an offset")?;
    shown(chat, habits, place, token, pending);
    Ok(())
}

fn shown(
    chat: &Chat,
    habits: &Habits,
    place: &mut Place,
    token: &str,
    pending: &mut Vec<Delivery>,
) {
    place.offset = token.to_owned();
    if let Some(writer) = habits.eyes_of {
        let others = pending.iter().rev().find(|d| d.message.writer != writer);
        if let (Some(last), Some(seen)) = (others, chat.seen.get(usize::from(writer))) {
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(last.message);
        }
    }
    let mut history = chat.history();
    history.token(token);
    history.readers[place.index].deliveries.append(pending);
}

/// One connection's long-polls.
async fn poll(chat: &Chat, habits: &Habits, place: &mut Place, stay: Option<Duration>) -> Left {
    let mut reading = chat.reading.subscribe();
    let mut connection = match Connection::open(&chat.directors[place.director]).await {
        Ok(connection) => connection,
        Err(error) => return Left::Broken(error.to_string()),
    };
    note_opened(chat, place, connection.local());
    let leave_at = stay.map(|stay| Instant::now() + stay);
    let mut cursor = String::new();
    loop {
        let target = format!(
            "/v1/stream/{}?offset={}&live=long-poll{cursor}",
            chat.room, place.offset
        );
        let answer = tokio::select! {
            biased;
            _stopped = reading.wait_for(|reading| !reading) => return Left::Stopped,
            answer = timeout(ANSWER, connection.ask("GET", &target, &[], None)) => match answer {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => return Left::Broken(error.to_string()),
                Err(_late) => return Left::Broken(format!("no answer within {ANSWER:?}")),
            },
        };
        let at = chat.now();
        let mut pending = match answer.status() {
            200 => match messages(&answer.text()) {
                Ok(messages) => messages
                    .into_iter()
                    .map(|message| Delivery { at, message })
                    .collect(),
                Err(what) => return Left::Broken(what),
            },
            204 => Vec::new(),
            status => return Left::Broken(format!("long-poll: {status} {}", answer.text())),
        };
        let Some(token) = answer.header("stream-next-offset") else {
            return Left::Broken("long-poll: no Stream-Next-Offset".to_owned());
        };
        shown(chat, habits, place, token, &mut pending);
        cursor = answer
            .header("stream-cursor")
            .map(|c| format!("&cursor={c}"))
            .unwrap_or_default();
        if leave_at.is_some_and(|at| Instant::now() >= at) {
            return Left::Moves;
        }
    }
}

fn note_opened(chat: &Chat, place: &Place, local: &str) {
    let opened = Opened {
        at: chat.now(),
        director: place.director,
        local: local.to_owned(),
    };
    chat.history().readers[place.index].opened.push(opened);
}

/// The messages of a JSON array of chat messages.
fn messages(text: &str) -> Result<Vec<Message>, String> {
    let shown = || text.chars().take(120).collect::<String>();
    let array: Vec<Value> =
        serde_json::from_str(text).map_err(|e| format!("no JSON array: {e}: {}", shown()))?;
    array
        .iter()
        .map(|message| {
            let text = message["text"].as_str().unwrap_or_default();
            let name = text.split(' ').next().unwrap_or_default();
            name.parse()
                .map_err(|_| format!("a message that is none of ours: {}", shown()))
        })
        .collect()
}
