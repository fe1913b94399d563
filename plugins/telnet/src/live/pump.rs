//! Moves bytes both ways until something ends. Nothing grows: as long as one side does not take what waits for it,
//! what would add to that is not read.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use director_sdk::{Director, Failure};
use futures_io::AsyncBufRead;

use super::outgoing::Sent;
use super::terminal::{Link, Terminal};
use super::timing::{Due, OWES, Timing, Wants};
use crate::nvt::{Command, encode};
use crate::talk::from_host::Talk;

/// How a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The user has logged out.
    LoggedOut,
    /// The client has said its last.
    ClientLeft,
    /// The user was idle for too long.
    Idle,
    /// The director is stopping.
    Stopping,
}

/// Why it does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Over(Over),
    /// The host has ended its stream.
    HostEnded,
}

/// What has happened.
enum Event {
    FromClient,
    FromHost,
    ToClient(Sent),
    ToHost(Sent),
    Due(Due),
    Stopping,
}

/// A timer that was set.
struct Alarm<'a> {
    at: Duration,
    sleep: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
}

struct Pump<'a> {
    terminal: &'a mut Terminal,
    link: &'a mut Link,
    director: &'a Director,
    timing: Timing,
    alarm: Option<Alarm<'a>>,
    /// The host was told the end of what its client says.
    has_closed: bool,
    /// What the host's stream was told of what is due.
    is_due: bool,
}

/// Moves bytes until something ends.
///
/// # Errors
///
/// A stream broke.
pub(crate) async fn run(
    terminal: &mut Terminal,
    link: &mut Link,
    director: &Director,
) -> Result<Stop, Failure> {
    let now = director.now();
    let mut pump = Pump {
        terminal,
        link,
        director,
        timing: Timing::new(now),
        alarm: None,
        has_closed: false,
        is_due: true,
    };
    if pump.link.host.signs.has_been_heard() {
        pump.owe(now);
    } else {
        // A host talks first, or is spoken to first; which, it has not shown.
        pump.timing.owes_until = Some(now + OWES);
    }
    loop {
        let event = pump.next().await?;
        if let Some(stop) = pump.act(event).await? {
            return Ok(stop);
        }
    }
}

impl Pump<'_> {
    async fn next(&mut self) -> io::Result<Event> {
        let due = self.due_next();
        self.set_alarm(due.map(|(at, _)| at));
        let mut stopping = std::pin::pin!(self.director.stopping());
        let has_ended = self.terminal.has_ended;
        let Terminal {
            client, to_client, ..
        } = &mut *self.terminal;
        let Link {
            stream, to_host, ..
        } = &mut *self.link;
        let alarm = &mut self.alarm;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(sent) = to_host.poll_send(stream, cx) {
                return Poll::Ready(sent.map(Event::ToHost));
            }
            if let Poll::Ready(sent) = to_client.poll_send(client, cx) {
                return Poll::Ready(sent.map(Event::ToClient));
            }
            let has_room = !to_host.is_full() && !to_client.is_full();
            if has_room
                && !has_ended
                && let Poll::Ready(seen) = Pin::new(&mut *client).poll_fill_buf(cx)
            {
                return Poll::Ready(seen.map(|_| Event::FromClient));
            }
            if has_room && let Poll::Ready(seen) = Pin::new(&mut *stream).poll_fill_buf(cx) {
                return Poll::Ready(seen.map(|_| Event::FromHost));
            }
            if let (Some(alarm), Some((_, due))) = (alarm.as_mut(), due)
                && alarm.sleep.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Ok(Event::Due(due)));
            }
            stopping.as_mut().poll(cx).map(|()| Ok(Event::Stopping))
        })
        .await
    }

    fn due_next(&self) -> Option<(Duration, Due)> {
        let wants = Wants {
            client_is_telnet: self.terminal.user.is_telnet,
            host_is_telnet: self.link.host.is_telnet,
            may_ask: self.link.host.may_be_asked(),
            answers: self.link.host.answers_marks == Some(true),
            client_has_ended: self.terminal.has_ended,
        };
        self.timing.next(&self.terminal.user.shared.options, wants)
    }

    /// Sets the timer anew only where it would come too late: one that comes too early is looked at then.
    fn set_alarm(&mut self, at: Option<Duration>) {
        let Some(at) = at else {
            self.alarm = None;
            return;
        };
        if self.alarm.as_ref().is_some_and(|alarm| alarm.at <= at) {
            return;
        }
        let director = self.director;
        let wait = at.saturating_sub(director.now());
        let sleep = Box::pin(async move { director.sleep(wait).await });
        self.alarm = Some(Alarm { at, sleep });
    }

    async fn act(&mut self, event: Event) -> Result<Option<Stop>, Failure> {
        let now = self.director.now();
        match event {
            Event::FromClient => self.hear_client(now).await?,
            Event::FromHost => {
                if self.hear_host(now).await? {
                    return Ok(Some(Stop::HostEnded));
                }
            }
            Event::ToClient(sent) => {
                self.timing.to_client = now;
                match sent {
                    Sent::Some => {}
                    Sent::Urgent => {
                        let client = &mut self.terminal.client;
                        self.terminal.to_client.send_urgent(client).await?;
                    }
                }
            }
            Event::ToHost(sent) => {
                self.timing.to_host = now;
                match sent {
                    Sent::Some => {}
                    Sent::Urgent => {
                        let stream = &mut self.link.stream;
                        self.link.to_host.send_urgent(stream).await?;
                    }
                }
                self.owe(now);
            }
            Event::Due(due) => {
                self.alarm = None;
                if let Some(over) = self.fall_due(due, now) {
                    return Ok(Some(Stop::Over(over)));
                }
            }
            Event::Stopping => return Ok(Some(Stop::Over(Over::Stopping))),
        }
        if self.terminal.has_ended && !self.has_closed && self.link.to_host.is_empty() {
            self.has_closed = true;
            self.link.stream.close().await?;
        }
        Ok(None)
    }

    async fn hear_client(&mut self, now: Duration) -> Result<(), Failure> {
        let Terminal {
            client,
            parser,
            user,
            to_client,
            has_ended,
            ..
        } = &mut *self.terminal;
        let said = client.fill().await?;
        if said.is_empty() {
            *has_ended = true;
            return Ok(());
        }
        let (n, mut rest) = (said.len(), said);
        let mut talk = Talk {
            user,
            host: &mut self.link.host,
            to_client,
            to_host: &mut self.link.to_host,
            now,
        };
        while let Some(event) = parser.next(&mut rest) {
            talk.client_said(&event);
        }
        client.consume(n);
        self.timing.from_client = now;
        self.note_mark(now);
        Ok(())
    }

    /// Whether the host has ended.
    async fn hear_host(&mut self, now: Duration) -> Result<bool, Failure> {
        let Link {
            stream,
            parser,
            host,
            to_host,
            ..
        } = &mut *self.link;
        let node = stream.node();
        let was_heard = host.signs.has_been_heard() || host.is_telnet;
        let said = stream.fill().await?;
        if said.is_empty() {
            return Ok(true);
        }
        let (n, mut rest) = (said.len(), said);
        let Terminal {
            user, to_client, ..
        } = &mut *self.terminal;
        if !was_heard && !user.is_telnet && user.pending.is_empty() {
            user.shared.talks_first(node);
        }
        let mut talk = Talk {
            user,
            host,
            to_client,
            to_host,
            now,
        };
        while let Some(event) = parser.next(&mut rest) {
            talk.host_said(&event);
        }
        stream.consume(n);
        self.timing.from_host = now;
        self.timing.owes_until = None;
        self.note_mark(now);
        self.due(self.owes_answer());
        Ok(false)
    }

    /// A mark may have been asked for, or answered.
    fn note_mark(&mut self, now: Duration) {
        if !self.link.host.owes_mark() {
            self.timing.asked = None;
        } else if self.timing.asked.is_none() {
            self.timing.asked = Some(now);
        }
    }

    /// Whether it is to answer a mark, as it always has.
    fn owes_answer(&self) -> bool {
        self.timing.asked.is_some() && self.link.host.answers_marks == Some(true)
    }

    fn owe(&mut self, now: Duration) {
        self.timing.owes_until = Some(now + OWES);
        self.due(true);
    }

    fn due(&mut self, due: bool) {
        if std::mem::replace(&mut self.is_due, due) != due {
            self.link.stream.due(due);
        }
    }

    fn fall_due(&mut self, due: Due, now: Duration) -> Option<Over> {
        // Another time may have come to count since the timer was set.
        let (at, next) = self.due_next()?;
        if next != due || at > now {
            return None;
        }
        match due {
            Due::OwesNothing => {
                self.timing.owes_until = None;
                self.due(self.owes_answer());
            }
            Due::NoMarks => {
                self.timing.asked = None;
                let answers = &mut self.link.host.answers_marks;
                *answers = answers.or(Some(false));
                // It may be asked again once it has answered this one.
                self.timing.from_host = now;
            }
            Due::Ask => {
                let mut talk = Talk {
                    user: &mut self.terminal.user,
                    host: &mut self.link.host,
                    to_client: &mut self.terminal.to_client,
                    to_host: &mut self.link.to_host,
                    now,
                };
                talk.ask_mark();
                self.timing.to_host = now;
                self.note_mark(now);
            }
            Due::NopToClient => {
                encode::command(self.terminal.to_client.end(), Command::Nop);
                self.timing.to_client = now;
            }
            Due::NopToHost => {
                encode::command(self.link.to_host.end(), Command::Nop);
                self.timing.to_host = now;
            }
            Due::Idle => return Some(Over::Idle),
            Due::HalfOpen => return Some(Over::ClientLeft),
        }
        None
    }
}
