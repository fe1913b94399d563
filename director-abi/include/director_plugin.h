/* The boundary between the director and its plugins, ABI 1.2. See the crate director-abi, whose
 * layout this is (tests/layout.rs compares every size, offset and constant), and examples/c in the
 * repository for a whole plugin.
 *
 * - The maker frees. `director_bytes` are borrowed until the call returns, unless a function says
 *   otherwise; `director_owned` brings the function that frees it.
 * - Streams, timers, relays, chains, tickets, connects, listeners, spools and confirms are the host's;
 *   a plugin holds a number. It is freed with its task, whatever the plugin forgot. A number used too late,
 *   twice, or on another thread is answered with an error.
 * - The host calls a plugin's functions from any thread; one task's future on one thread only. Host
 *   functions never call back into the plugin, wakers excepted.
 * - Nothing unwinds across: no exception, no longjmp.
 * - Structs that begin with `size` may grow: copy the smaller of both sizes, read the rest as 0.
 */
#ifndef DIRECTOR_PLUGIN_H
#define DIRECTOR_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DIRECTOR_MAJOR 1
#define DIRECTOR_MINOR 2
/* The descriptor is exported under this name: `const director_descriptor director_plugin_v1`. */
#define DIRECTOR_SYMBOL director_plugin_v1
#define DIRECTOR_MAGIC { 'D', 'I', 'R', 'E', 'C', 'T', 'O', 'R' }

#if defined(__x86_64__) && defined(__GLIBC__)
#define DIRECTOR_TARGET "x86_64-unknown-linux-gnu"
#elif defined(__x86_64__)
#define DIRECTOR_TARGET "x86_64-unknown-linux-musl"
#elif defined(__aarch64__) && defined(__GLIBC__)
#define DIRECTOR_TARGET "aarch64-unknown-linux-gnu"
#elif defined(__aarch64__)
#define DIRECTOR_TARGET "aarch64-unknown-linux-musl"
#elif defined(__riscv) && __riscv_xlen == 64 && defined(__GLIBC__)
#define DIRECTOR_TARGET "riscv64gc-unknown-linux-gnu"
#elif defined(__riscv) && __riscv_xlen == 64
#define DIRECTOR_TARGET "riscv64gc-unknown-linux-musl"
#endif

/* Statuses; any other is read as DIRECTOR_PANICKED. */
#define DIRECTOR_PENDING 0u
#define DIRECTOR_READY 1u
#define DIRECTOR_PANICKED 2u
#define DIRECTOR_FAILED 3u

/* In `director_io_poll.code`, beside errno. */
#define DIRECTOR_CODE_CUT (-1)    /* the step was cut */
#define DIRECTOR_CODE_GONE (-2)   /* the number names nothing */
#define DIRECTOR_CODE_THREAD (-3) /* called on another thread */
#define DIRECTOR_CODE_UNREAD (-4) /* bytes were read ahead and not consumed */
#define DIRECTOR_CODE_TLS (-5)    /* TLS failed, or was broken off */
#define DIRECTOR_CODE_NONE (-6)   /* no such service, or no room */

/* Exception kinds. */
#define DIRECTOR_KIND_NONE 0u
#define DIRECTOR_KIND_UNREACHABLE 1u
#define DIRECTOR_KIND_LOST 2u
#define DIRECTOR_KIND_STALLED 3u
#define DIRECTOR_KIND_BUSY 4u
#define DIRECTOR_KIND_LEAVING 5u
#define DIRECTOR_KIND_MISSING 6u
#define DIRECTOR_KIND_DIVERGED 7u
#define DIRECTOR_KIND_DENIED 8u
#define DIRECTOR_KIND_INVALID 9u
#define DIRECTOR_KIND_GARBLED 10u
#define DIRECTOR_KIND_UNKNOWN 11u
#define DIRECTOR_KIND_CLIENT_GONE 12u
#define DIRECTOR_KIND_FAULT 13u
#define DIRECTOR_KIND_EXHAUSTED 14u
#define DIRECTOR_KIND_BY_CODE UINT32_MAX /* look the code up in the plugin's failures */

#define DIRECTOR_LOAD_LEAVING 1u

/* `director_descriptor.flags`. A plugin in C throws nothing, so it says PANIC_UNWIND. */
#define DIRECTOR_PANIC_UNWIND 1u
#define DIRECTOR_POOLED_LINKS 2u

/* `director_event.tag`. */
#define DIRECTOR_EVENT_BEGIN 1u
#define DIRECTOR_EVENT_ESTABLISHED 2u
#define DIRECTOR_EVENT_FAILED 3u
#define DIRECTOR_EVENT_REPLIED 4u
#define DIRECTOR_EVENT_CLEANED 5u
#define DIRECTOR_EVENT_ASKED 6u
#define DIRECTOR_EVENT_TORN 7u

/* `director_event.flags`. */
#define DIRECTOR_LINK_FIT 1u
#define DIRECTOR_CLIENT_SIDE 2u

/* `director_event.answer` to a cleanup. */
#define DIRECTOR_RESEND_ANYWHERE 1u
#define DIRECTOR_RESEND_SAME_NODE 2u
#define DIRECTOR_RESEND_ASK 3u
#define DIRECTOR_RESEND_NEVER 4u

/* `director_event.answer` to a question. */
#define DIRECTOR_OUTCOME_HAPPENED 1u
#define DIRECTOR_OUTCOME_NOT_DONE 2u
#define DIRECTOR_OUTCOME_UNKNOWN 3u

/* `director_action.tag`. */
#define DIRECTOR_ACTION_ESTABLISH 1u
#define DIRECTOR_ACTION_ATTEMPT 2u
#define DIRECTOR_ACTION_CLEAN_UP 3u
#define DIRECTOR_ACTION_ASK 4u
#define DIRECTOR_ACTION_REPLY 5u
#define DIRECTOR_ACTION_GIVE_UP 6u

/* `director_relay_end.why`. */
#define DIRECTOR_RELAY_LIMIT 1u
#define DIRECTOR_RELAY_END 2u
#define DIRECTOR_RELAY_FROM_FAILED 3u
#define DIRECTOR_RELAY_TO_FAILED 4u

/* `director_address.family`. */
#define DIRECTOR_ADDRESS_V4 4u
#define DIRECTOR_ADDRESS_V6 6u

/* `director_listen_spec.flags`. */
#define DIRECTOR_LISTEN_ANYONE 1u

/* director_instance_info.flags: the service has a certificate for its clients. */
#define DIRECTOR_INSTANCE_CERTIFICATE 1u

/* `director_tls_spec.flags`. */
#define DIRECTOR_TLS_REQUIRE_RESUMED 1u
#define DIRECTOR_TLS_RENEW 2u

/* `director_stream_info.tls_flags`. */
#define DIRECTOR_TLS_ON 1u
#define DIRECTOR_TLS_RESUMED 2u
#define DIRECTOR_TLS_PEER_CLOSED 4u

/* `director_node_standing.flags`. */
#define DIRECTOR_NODE_ANSWERS 1u

/* Bytes lent until the call returns. */
typedef struct {
    const uint8_t *ptr;
    size_t len;
} director_bytes;

/* Bytes handed over; the receiver calls `free(ptr, len, cap)` once. */
typedef struct {
    uint8_t *ptr;
    size_t len;
    size_t cap;
    void (*free)(uint8_t *ptr, size_t len, size_t cap);
} director_owned;

/* How a stream operation ended. With READY, `n` bytes; 0 bytes filled is the end. */
typedef struct {
    uint32_t tag;
    int32_t code;
    size_t n;
} director_io_poll;

typedef struct director_waker_vtable director_waker_vtable;

/* Lent for the call; cloned by whoever keeps it. */
typedef struct {
    const void *data;
    const director_waker_vtable *vtable;
} director_waker;

struct director_waker_vtable {
    size_t size;
    director_waker (*clone)(const void *data);
    void (*wake)(const void *data);
    void (*wake_by_ref)(const void *data);
    void (*drop)(const void *data);
};

/* What a node says of itself. `load` not finite or negative: unknown. */
typedef struct {
    size_t size;
    double load;
    uint32_t flags;
    uint32_t _pad;
} director_load;

/* How a task ended. */
typedef struct {
    size_t size;
    uint32_t kind;
    uint32_t code;
    uint32_t retry_after_ms;
    uint32_t _pad;
    director_load load;
    director_owned detail;
    uint64_t _reserved[4];
} director_ended;

typedef struct {
    size_t size;
    /* PENDING; READY with `ended` written; PANICKED. */
    uint32_t (*poll)(void *data, const director_waker *waker, director_ended *ended);
    /* READY or PANICKED; frees `data` either way. */
    uint32_t (*drop)(void *data);
} director_future_vtable;

/* A plugin's task. A null `data`: it could not be made. */
typedef struct {
    void *data;
    const director_future_vtable *vtable;
} director_future;

/* Which node a stream leads to. */
typedef struct {
    size_t size;
    uint32_t id;
    uint32_t _pad;
    director_bytes name;
} director_node_info;

/* A line for the log; level 1 error, 2 warn, 3 info, 4 debug, 5 trace. */
typedef struct {
    size_t size;
    uint32_t level;
    uint32_t line;
    uint64_t instance;
    director_bytes target;
    director_bytes file;
    director_bytes message;
} director_log_record;

typedef struct {
    director_bytes name;
    director_bytes value;
} director_metric_label;

/* An IP address (of IPv4 the v4-mapped one, network order) and a port; family 0: not known. */
typedef struct {
    uint8_t ip[16];
    uint16_t port;
    uint16_t family;
    uint32_t _pad;
} director_address;

/* Since 1.1 from `local` on. */
typedef struct {
    size_t size;
    uint64_t received;
    uint64_t accepted;
    director_address local;
    director_address peer;
    uint32_t tls_flags;
    uint32_t tls_version;
} director_stream_info;

/* To the peer's IP address of the stream `of`, from its local one. */
typedef struct {
    size_t size;
    uint64_t of;
    uint16_t port;
    uint16_t _pad;
    uint32_t _pad2;
} director_connect_spec;

/* At the local IP address of the stream `of`, for its peer; ports 0 to 0: any. */
typedef struct {
    size_t size;
    uint64_t of;
    uint16_t first;
    uint16_t last;
    uint32_t flags;
} director_listen_spec;

typedef struct {
    size_t size;
    director_address local;
} director_listener_info;

/* `session_of`: a stream whose TLS session is to be resumed, or 0. */
typedef struct {
    size_t size;
    uint64_t session_of;
    uint32_t flags;
    uint32_t _pad;
} director_tls_spec;

/* Bytes at most, in memory and on the disk beside them. */
typedef struct {
    size_t size;
    uint64_t memory;
    uint64_t disk;
} director_spool_spec;

/* Offsets of the first byte that is kept and behind the last; bytes kept in memory and on the disk. */
typedef struct {
    size_t size;
    uint64_t first;
    uint64_t end;
    uint64_t in_memory;
    uint64_t on_disk;
} director_spool_info;

/* How a node was found to stand; since 1.2. `ended`: links of other sessions to it that ended from its
 * side, from one second before the question on. */
typedef struct {
    size_t size;
    uint32_t flags;
    uint32_t ended;
} director_node_standing;

/* What a relay is to move; `limit` UINT64_MAX for all until the end. */
typedef struct {
    size_t size;
    uint64_t from;
    uint64_t to;
    uint64_t limit;
} director_relay_spec;

typedef struct {
    uint64_t moved;
    uint32_t why;
    int32_t code;
} director_relay_end;

typedef struct {
    size_t size;
    uint64_t within_ns;
} director_ticket_spec;

/* What became of the last action. */
typedef struct {
    size_t size;
    uint32_t tag;
    uint32_t kind;
    uint32_t code;
    uint32_t flags;
    uint32_t answer;
    uint32_t retry_after_ms;
    void *link;
    uint32_t (*link_drop)(void *link);
    director_bytes detail;
    uint64_t _reserved[4];
} director_event;

/* What is to be done next. */
typedef struct {
    size_t size;
    uint32_t tag;
    uint32_t kind;
    uint32_t code;
    uint32_t attempt;
    uint32_t retry_after_ms;
    uint32_t _pad;
    uint64_t stream;
    void *link;
    uint64_t sent;
    uint64_t answered;
    uint64_t deadline_ns;
    director_node_info node;
    director_bytes detail;
    uint64_t _reserved[4];
} director_action;

/* The host's functions; see director-abi for what each promises. 0 is never a number. */
typedef struct {
    size_t size;
    uint16_t abi_major;
    uint16_t abi_minor;
    uint32_t _pad;
    uint64_t (*now_ns)(void);
    uint64_t (*unix_ns)(void);
    uint32_t (*random)(uint8_t *into, size_t len);
    uint32_t (*log_level)(void);
    void (*log)(const director_log_record *record);
    uint64_t (*metric)(uint64_t instance, uint32_t what, director_bytes name,
                       const director_metric_label *labels, size_t n_labels);
    void (*metric_record)(uint64_t metric, uint32_t how, double value);
    director_io_poll (*stream_poll_fill)(uint64_t stream, const director_waker *waker,
                                         director_bytes *lent);
    void (*stream_consume)(uint64_t stream, size_t n);
    director_io_poll (*stream_poll_write)(uint64_t stream, const director_waker *waker,
                                          const director_bytes *pieces, size_t n_pieces);
    director_io_poll (*stream_poll_flush)(uint64_t stream, const director_waker *waker);
    director_io_poll (*stream_poll_close)(uint64_t stream, const director_waker *waker);
    void (*stream_give_up)(uint64_t stream);
    uint32_t (*stream_info)(uint64_t stream, director_stream_info *info);
    void (*stream_due)(uint64_t stream, uint32_t due);
    uint64_t (*timer)(uint64_t task, uint64_t after_ns);
    uint32_t (*timer_poll)(uint64_t timer, const director_waker *waker);
    void (*timer_end)(uint64_t timer);
    uint32_t (*poll_stopping)(uint64_t task, const director_waker *waker);
    uint64_t (*relay)(uint64_t task, const director_relay_spec *spec);
    uint32_t (*relay_poll)(uint64_t relay, const director_waker *waker, director_relay_end *end);
    uint64_t (*relay_end)(uint64_t relay);
    uint64_t (*chain)(uint64_t task, uint64_t link_type);
    void (*chain_end)(uint64_t chain);
    uint64_t (*ticket)(uint64_t chain, const director_ticket_spec *spec);
    uint32_t (*poll_step)(uint64_t ticket, const director_event *event,
                          const director_waker *waker, director_action *action);
    uint32_t (*poll_cut)(uint64_t ticket, const director_waker *waker);
    void (*ticket_end)(uint64_t ticket);
    void (*report)(uint64_t task, uint32_t node, const director_load *load);
    /* Since 1.1; null in an older host. */
    uint64_t (*connect)(uint64_t task, const director_connect_spec *spec);
    director_io_poll (*connect_poll)(uint64_t connect, const director_waker *waker,
                                     uint64_t *stream);
    void (*connect_end)(uint64_t connect);
    director_io_poll (*listen)(uint64_t task, const director_listen_spec *spec,
                               uint64_t *listener);
    uint32_t (*listener_info)(uint64_t listener, director_listener_info *info);
    /* With neither waker nor stream: nobody waits any more, and no connection is due. */
    director_io_poll (*listener_poll_accept)(uint64_t listener, const director_waker *waker,
                                             uint64_t *stream);
    void (*listener_end)(uint64_t listener);
    director_io_poll (*stream_poll_urgent)(uint64_t stream, const director_waker *waker,
                                           director_bytes bytes);
    director_io_poll (*stream_poll_start_tls)(uint64_t stream, const director_waker *waker,
                                              const director_tls_spec *spec);
    uint32_t (*stream_error)(uint64_t stream, director_owned *text);
    uint64_t (*spool)(uint64_t task, const director_spool_spec *spec);
    director_io_poll (*spool_poll_append)(uint64_t spool, const director_waker *waker,
                                          director_bytes bytes);
    director_io_poll (*spool_poll_read)(uint64_t spool, const director_waker *waker,
                                        uint64_t offset, uint8_t *into, size_t len);
    void (*spool_forget)(uint64_t spool, uint64_t before);
    uint32_t (*spool_info)(uint64_t spool, director_spool_info *info);
    void (*spool_end)(uint64_t spool);
    /* Since 1.2; not there in an older host, whose size says so. */
    uint64_t (*confirm)(uint64_t task, uint32_t node, uint64_t settle_ns);
    uint32_t (*confirm_poll)(uint64_t confirm, const director_waker *waker,
                             director_node_standing *standing);
    void (*confirm_end)(uint64_t confirm);
    uint32_t (*session_key)(uint64_t task, director_bytes key);
} director_host_api;

/* What an instance is told at its making. */
typedef struct {
    size_t size;
    uint64_t instance;
    director_bytes service;
    director_bytes state_dir;
    uint64_t flags; /* DIRECTOR_INSTANCE_CERTIFICATE, or 0; since 1.1: there when size says so */
} director_instance_info;

/* The client of a session. */
typedef struct {
    size_t size;
    uint64_t stream;
    uint64_t session;
    director_bytes peer;
} director_client_info;

/* A range of the protocol's codes and the kind that they mean; the first row that holds decides. */
typedef struct {
    uint32_t first;
    uint32_t last;
    uint32_t kind;
} director_failure_row;

typedef struct {
    const director_failure_row *rows;
    size_t len;
} director_failure_table;

/* A plugin's functions; all are present. */
typedef struct {
    size_t size;
    void *(*create)(director_bytes options, const director_instance_info *info,
                    director_owned *mistakes);
    uint32_t (*destroy)(void *instance);
    director_failure_table (*failures)(void);
    director_future (*serve)(void *instance, uint64_t task, const director_client_info *client);
    director_future (*probe)(void *instance, uint64_t task, uint64_t stream,
                             const director_node_info *node);
    director_future (*watch)(void *instance, uint64_t task, uint64_t stream,
                             const director_node_info *node);
    director_future (*run)(void *instance, uint64_t task);
    size_t _reserved[16];
} director_plugin_api;

/* The one symbol that a plugin exports. */
typedef struct {
    size_t size;
    uint8_t magic[8];
    uint16_t abi_major;
    uint16_t abi_minor;
    uint16_t min_host_minor;
    uint16_t _pad;
    uint32_t flags;
    uint32_t _pad2;
    director_bytes name;
    director_bytes version;
    director_bytes sdk;
    director_bytes target;
    const director_plugin_api *(*init)(const director_host_api *host, director_owned *error);
    size_t _reserved[8];
} director_descriptor;

#ifdef __cplusplus
}
#endif

#endif
