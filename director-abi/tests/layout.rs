//! The layout is frozen: sizes, offsets and constants, in Rust, in a file, and in the C header.
//!
//! `layout-1.0.txt` to `layout-1.2.txt` say where each field of these versions stands; the last is
//! the present one. Of an older version nothing moves: structs that begin with their size may grow at
//! their end, and what was reserved may be given away. The C header is compared by a C compiler,
//! field by field.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test: what is not as written here must fail

use std::fmt::Write as _;
use std::io::Write as _;
use std::mem::offset_of;
use std::path::Path;
use std::process::{Command, Stdio};

use director_abi::{
    Action, Address, Bytes, ClientInfo, ConnectSpec, Descriptor, Ended, Event, FailureRow,
    FailureTable, Future, FutureVtable, HostApi, InstanceInfo, IoPoll, ListenSpec, ListenerInfo,
    Load, LogRecord, MetricLabel, NodeInfo, NodeStanding, Owned, PluginApi, RelayEnd, RelaySpec,
    SpoolInfo, SpoolSpec, StreamInfo, TicketSpec, TlsSpec, Waker, WakerVtable,
};

/// A struct, its name in C, its size, and its fields with their offsets.
struct Layout {
    rust: &'static str,
    c: &'static str,
    size: usize,
    fields: Vec<(&'static str, usize)>,
}

macro_rules! layouts {
    ($($rust:ident $c:ident { $($field:ident),* $(,)? })*) => {{
        vec![$({
            // Every field is listed: a pattern without `..` must name them all.
            #[allow(dead_code)]
            fn all(it: $rust) {
                let $rust { $($field: _),* } = it;
            }
            Layout {
                rust: stringify!($rust),
                c: stringify!($c),
                size: size_of::<$rust>(),
                fields: vec![$((stringify!($field), offset_of!($rust, $field))),*],
            }
        }),*]
    }};
}

fn layouts() -> Vec<Layout> {
    layouts! {
        Bytes director_bytes { ptr, len }
        Owned director_owned { ptr, len, cap, free }
        IoPoll director_io_poll { tag, code, n }
        Waker director_waker { data, vtable }
        WakerVtable director_waker_vtable { size, clone, wake, wake_by_ref, drop }
        Load director_load { size, load, flags, _pad }
        Ended director_ended { size, kind, code, retry_after_ms, _pad, load, detail, _reserved }
        FutureVtable director_future_vtable { size, poll, drop }
        Future director_future { data, vtable }
        NodeInfo director_node_info { size, id, _pad, name }
        LogRecord director_log_record { size, level, line, instance, target, file, message }
        MetricLabel director_metric_label { name, value }
        Address director_address { ip, port, family, _pad }
        StreamInfo director_stream_info {
            size, received, accepted, local, peer, tls_flags, tls_version,
        }
        ConnectSpec director_connect_spec { size, of, port, _pad, _pad2 }
        ListenSpec director_listen_spec { size, of, first, last, flags }
        ListenerInfo director_listener_info { size, local }
        TlsSpec director_tls_spec { size, session_of, flags, _pad }
        SpoolSpec director_spool_spec { size, memory, disk }
        SpoolInfo director_spool_info { size, first, end, in_memory, on_disk }
        RelaySpec director_relay_spec { size, from, to, limit }
        RelayEnd director_relay_end { moved, why, code }
        TicketSpec director_ticket_spec { size, within_ns }
        Event director_event {
            size, tag, kind, code, flags, answer, retry_after_ms, link, link_drop, detail, _reserved,
        }
        Action director_action {
            size, tag, kind, code, attempt, retry_after_ms, _pad, stream, link, sent, answered,
            deadline_ns, node, detail, _reserved,
        }
        HostApi director_host_api {
            size, abi_major, abi_minor, _pad, now_ns, unix_ns, random, log_level, log, metric,
            metric_record, stream_poll_fill, stream_consume, stream_poll_write, stream_poll_flush,
            stream_poll_close, stream_give_up, stream_info, stream_due, timer, timer_poll, timer_end,
            poll_stopping, relay, relay_poll, relay_end, chain, chain_end, ticket, poll_step,
            poll_cut, ticket_end, report, connect, connect_poll, connect_end, listen, listener_info,
            listener_poll_accept, listener_end, stream_poll_urgent, stream_poll_start_tls,
            stream_error, spool, spool_poll_append, spool_poll_read, spool_forget, spool_info,
            spool_end, confirm, confirm_poll, confirm_end, session_key,
        }
        NodeStanding director_node_standing { size, flags, ended }
        InstanceInfo director_instance_info { size, instance, service, state_dir, flags }
        ClientInfo director_client_info { size, stream, session, peer }
        FailureRow director_failure_row { first, last, kind }
        FailureTable director_failure_table { rows, len }
        PluginApi director_plugin_api {
            size, create, destroy, failures, serve, probe, watch, run, _reserved,
        }
        Descriptor director_descriptor {
            size, magic, abi_major, abi_minor, min_host_minor, _pad, flags, _pad2, name, version, sdk,
            target, init, _reserved,
        }
    }
}

/// Constants: the name in C, and the value.
fn constants() -> Vec<(&'static str, i64)> {
    use director_abi::{
        CODE_CUT, CODE_GONE, CODE_NONE, CODE_THREAD, CODE_TLS, CODE_UNREAD, FAILED, LOAD_LEAVING,
        MAJOR, MINOR, PANICKED, PENDING, READY, kind, outcome, resend,
    };
    vec![
        ("MAJOR", MAJOR.into()),
        ("MINOR", MINOR.into()),
        ("PENDING", PENDING.into()),
        ("READY", READY.into()),
        ("PANICKED", PANICKED.into()),
        ("FAILED", FAILED.into()),
        ("CODE_CUT", CODE_CUT.into()),
        ("CODE_GONE", CODE_GONE.into()),
        ("CODE_THREAD", CODE_THREAD.into()),
        ("CODE_UNREAD", CODE_UNREAD.into()),
        ("CODE_TLS", CODE_TLS.into()),
        ("CODE_NONE", CODE_NONE.into()),
        ("KIND_NONE", kind::NONE.into()),
        ("KIND_UNREACHABLE", kind::UNREACHABLE.into()),
        ("KIND_LOST", kind::LOST.into()),
        ("KIND_STALLED", kind::STALLED.into()),
        ("KIND_BUSY", kind::BUSY.into()),
        ("KIND_LEAVING", kind::LEAVING.into()),
        ("KIND_MISSING", kind::MISSING.into()),
        ("KIND_DIVERGED", kind::DIVERGED.into()),
        ("KIND_DENIED", kind::DENIED.into()),
        ("KIND_INVALID", kind::INVALID.into()),
        ("KIND_GARBLED", kind::GARBLED.into()),
        ("KIND_UNKNOWN", kind::UNKNOWN.into()),
        ("KIND_CLIENT_GONE", kind::CLIENT_GONE.into()),
        ("KIND_FAULT", kind::FAULT.into()),
        ("KIND_EXHAUSTED", kind::EXHAUSTED.into()),
        ("KIND_BY_CODE", Ended::BY_CODE.into()),
        ("LOAD_LEAVING", LOAD_LEAVING.into()),
        ("PANIC_UNWIND", Descriptor::PANIC_UNWIND.into()),
        ("POOLED_LINKS", Descriptor::POOLED_LINKS.into()),
        ("EVENT_BEGIN", Event::BEGIN.into()),
        ("EVENT_ESTABLISHED", Event::ESTABLISHED.into()),
        ("EVENT_FAILED", Event::FAILED.into()),
        ("EVENT_REPLIED", Event::REPLIED.into()),
        ("EVENT_CLEANED", Event::CLEANED.into()),
        ("EVENT_ASKED", Event::ASKED.into()),
        ("EVENT_TORN", Event::TORN.into()),
        ("LINK_FIT", Event::LINK_FIT.into()),
        ("CLIENT_SIDE", Event::CLIENT_SIDE.into()),
        ("RESEND_ANYWHERE", resend::ANYWHERE.into()),
        ("RESEND_SAME_NODE", resend::SAME_NODE.into()),
        ("RESEND_ASK", resend::ASK.into()),
        ("RESEND_NEVER", resend::NEVER.into()),
        ("OUTCOME_HAPPENED", outcome::HAPPENED.into()),
        ("OUTCOME_NOT_DONE", outcome::NOT_DONE.into()),
        ("OUTCOME_UNKNOWN", outcome::UNKNOWN.into()),
        ("ACTION_ESTABLISH", Action::ESTABLISH.into()),
        ("ACTION_ATTEMPT", Action::ATTEMPT.into()),
        ("ACTION_CLEAN_UP", Action::CLEAN_UP.into()),
        ("ACTION_ASK", Action::ASK.into()),
        ("ACTION_REPLY", Action::REPLY.into()),
        ("ACTION_GIVE_UP", Action::GIVE_UP.into()),
        ("RELAY_LIMIT", RelayEnd::LIMIT.into()),
        ("RELAY_END", RelayEnd::END.into()),
        ("RELAY_FROM_FAILED", RelayEnd::FROM_FAILED.into()),
        ("RELAY_TO_FAILED", RelayEnd::TO_FAILED.into()),
        ("ADDRESS_V4", Address::V4.into()),
        ("ADDRESS_V6", Address::V6.into()),
        ("LISTEN_ANYONE", ListenSpec::ANYONE.into()),
        (
            "INSTANCE_CERTIFICATE",
            InstanceInfo::CERTIFICATE.try_into().unwrap(),
        ),
        ("TLS_REQUIRE_RESUMED", TlsSpec::REQUIRE_RESUMED.into()),
        ("TLS_RENEW", TlsSpec::RENEW.into()),
        ("TLS_ON", StreamInfo::TLS_ON.into()),
        ("TLS_RESUMED", StreamInfo::TLS_RESUMED.into()),
        ("TLS_PEER_CLOSED", StreamInfo::TLS_PEER_CLOSED.into()),
        ("NODE_ANSWERS", NodeStanding::ANSWERS.into()),
    ]
}

/// The layout as the frozen file has it.
fn text() -> String {
    let mut text = String::new();
    for layout in layouts() {
        writeln!(text, "{} {}", layout.rust, layout.size).unwrap();
        for (field, offset) in layout.fields {
            writeln!(text, "{}.{field} {offset}", layout.rust).unwrap();
        }
    }
    for (name, value) in constants() {
        writeln!(text, "{name} = {value}").unwrap();
    }
    text
}

#[test]
#[cfg(target_pointer_width = "64")]
fn the_present_layout_is_1_2() {
    let frozen = include_str!("layout-1.2.txt");
    let now = text();
    let mut moved: Vec<&str> = frozen
        .lines()
        .filter(|line| !now.lines().any(|other| other == *line))
        .collect();
    moved.extend(
        now.lines()
            .filter(|line| !frozen.lines().any(|other| other == *line)),
    );
    assert!(
        moved.is_empty(),
        "frozen and present layout differ in {moved:#?}\npresent:\n{now}"
    );
}

/// A line of a layout: what it is about, and the number.
fn parts(line: &str) -> (&str, i64) {
    let (name, number) = line.rsplit_once(' ').unwrap();
    (name, number.parse().unwrap())
}

#[test]
#[cfg(target_pointer_width = "64")]
fn nothing_of_1_0_and_1_1_has_moved() {
    let now = text();
    let now: Vec<(&str, i64)> = now.lines().map(parts).collect();
    let has = |line: (&str, i64)| now.contains(&line);
    let frozen = [
        ("1.0", include_str!("layout-1.0.txt")),
        ("1.1", include_str!("layout-1.1.txt")),
    ];
    for (version, layout) in frozen {
        for old in layout.lines().map(parts) {
            let (name, number) = old;
            let holds = if name == "MINOR =" {
                has(("MINOR =", director_abi::MINOR.into())) && number < director_abi::MINOR.into()
            } else if let Some(table) = name.strip_suffix("._reserved") {
                // Kept, or given away: to a field that stands where it stood.
                has(old)
                    || now
                        .iter()
                        .any(|(field, at)| field.starts_with(&format!("{table}.")) && *at == number)
            } else if !name.contains(['.', '=']) && has((&format!("{name}.size"), 0)) {
                now.iter().any(|(size, n)| *size == name && *n >= number)
            } else {
                has(old)
            };
            assert!(holds, "of {version}: {name} {number}");
        }
    }
}

#[test]
fn the_c_header_is_the_same_layout() {
    let mut source = String::from("#include \"director_plugin.h\"\n");
    for Layout {
        c, size, fields, ..
    } in layouts()
    {
        writeln!(source, "_Static_assert(sizeof({c}) == {size}, \"{c}\");").unwrap();
        for (field, offset) in fields {
            let assert = format!("offsetof({c}, {field}) == {offset}");
            writeln!(source, "_Static_assert({assert}, \"{c}.{field}\");").unwrap();
        }
    }
    for (name, value) in constants() {
        let assert = format!("(long long)DIRECTOR_{name} == {value}LL");
        writeln!(source, "_Static_assert({assert}, \"{name}\");").unwrap();
    }
    let target = director_abi::TARGET;
    let length = format!("sizeof(DIRECTOR_TARGET) == {} + 1", target.len());
    writeln!(source, "_Static_assert({length}, \"TARGET\");").unwrap();
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let mut compiler = Command::new("cc")
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-fsyntax-only",
            "-xc",
            "-",
        ])
        .arg("-I")
        .arg(include)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    compiler
        .stdin
        .take()
        .unwrap()
        .write_all(source.as_bytes())
        .unwrap();
    let output = compiler.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
