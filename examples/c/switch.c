/* A whole plugin in C: a switch for any TCP protocol. Each client gets a node for as long as it
 * stays; until either side has said something, a node that fails is replaced by another one.
 *
 *   cc -shared -fPIC -o libdirector_switch.so -I director-abi/include examples/c/switch.c
 *
 * A task is a struct and a function that is polled: it goes as far as it can, and returns PENDING
 * when a host function did (which has kept the waker). Whatever a task forgets, the host ends. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "director_plugin.h"
#define TEXT(text) { (const uint8_t *)(text), sizeof(text) - 1 }
static director_host_api host; /* what the host has not stays 0 */
typedef struct task {
    uint32_t (*poll)(struct task *, const director_waker *, director_ended *);
    uint64_t number, client, node, ticket;
    uint64_t relays[2]; /* client to node, node to client; 0 when it has ended */
    int closing[2];     /* its end is being passed on */
    int attempting;
    director_event event; /* what to answer the host next; tag 0 for nothing */
} task;

static void say(task *t, uint32_t tag, uint32_t kind, uint32_t answer)
{
    t->event = (director_event){ .size = sizeof t->event, .tag = tag, .kind = kind, .answer = answer };
}

/* Moves bytes both ways, and passes ends on. Whether the attempt is over, and said so. */
static int attempt(task *t, const director_waker *waker)
{
    for (int way = 0; way < 2; way++) {
        director_relay_end end = { 0, DIRECTOR_RELAY_END, 0 };
        uint64_t to = way ? t->client : t->node;
        if (t->relays[way]) {
            if (host.relay_poll(t->relays[way], waker, &end) == DIRECTOR_PENDING)
                continue;
            host.relay_end(t->relays[way]);
            t->relays[way] = 0;
            t->closing[way] = end.why == DIRECTOR_RELAY_END;
        }
        uint32_t closed = t->closing[way] ? host.stream_poll_close(to, waker).tag : DIRECTOR_READY;
        t->closing[way] = closed == DIRECTOR_PENDING;
        if (end.why != DIRECTOR_RELAY_END || (closed != DIRECTOR_READY && closed != DIRECTOR_PENDING)) {
            int client = (end.why == DIRECTOR_RELAY_FROM_FAILED) == (way == 0);
            say(t, DIRECTOR_EVENT_FAILED, client ? DIRECTOR_KIND_CLIENT_GONE : DIRECTOR_KIND_LOST, 0);
            return 1;
        }
    }
    if (t->relays[0] || t->relays[1] || t->closing[0] || t->closing[1])
        return 0;
    say(t, DIRECTOR_EVENT_REPLIED, 0, 0);
    return 1;
}

static uint32_t poll_session(task *t, const director_waker *waker, director_ended *ended)
{
    for (;;) {
        director_action action = { .size = sizeof action };
        if (t->attempting) {
            if (!attempt(t, waker)) {
                if (host.poll_cut(t->ticket, waker) != DIRECTOR_READY)
                    return DIRECTOR_PENDING;
                say(t, DIRECTOR_EVENT_TORN, 0, 0);
            }
            for (int way = 0; way < 2; way++)
                host.relay_end(t->relays[way]);
            t->attempting = 0;
        }
        uint32_t status = host.poll_step(t->ticket, t->event.tag ? &t->event : NULL, waker, &action);
        t->event.tag = 0;
        if (status == DIRECTOR_PENDING)
            return DIRECTOR_PENDING;
        switch (status == DIRECTOR_READY ? action.tag : 0) {
        case DIRECTOR_ACTION_ESTABLISH: /* no greeting */
            say(t, DIRECTOR_EVENT_ESTABLISHED, 0, 0);
            t->event.link = t; /* nothing to keep on a link; any pointer will do, nobody frees it */
            break;
        case DIRECTOR_ACTION_ATTEMPT:
            t->node = action.stream;
            host.stream_due(t->node, 0); /* it may be silent for as long as it likes */
            director_relay_spec up = { sizeof up, t->client, t->node, UINT64_MAX };
            director_relay_spec down = { sizeof down, t->node, t->client, UINT64_MAX };
            t->relays[0] = host.relay(t->number, &up);
            t->relays[1] = host.relay(t->number, &down);
            t->attempting = 1;
            break;
        case DIRECTOR_ACTION_CLEAN_UP: /* what was said once cannot be said again */
            say(t, DIRECTOR_EVENT_CLEANED, 0,
                action.sent || action.answered ? DIRECTOR_RESEND_NEVER : DIRECTOR_RESEND_ANYWHERE);
            break;
        case DIRECTOR_ACTION_REPLY:
            return DIRECTOR_READY;
        default: /* GIVE_UP, a refusal, or what only a later host knows */
            ended->kind = status == DIRECTOR_READY ? action.kind : DIRECTOR_KIND_FAULT;
            return DIRECTOR_READY;
        }
    }
}

static uint32_t poll_probe(task *t, const director_waker *waker, director_ended *ended)
{
    (void)t, (void)waker; /* it takes connections: all that one can ask of any protocol */
    ended->load.load = NAN;
    return DIRECTOR_READY;
}

static uint32_t poll_rest(task *t, const director_waker *waker, director_ended *ended)
{
    (void)ended; /* nothing to do, and nothing to watch, until the director stops */
    return host.poll_stopping(t->number, waker) == DIRECTOR_PENDING ? DIRECTOR_PENDING : DIRECTOR_READY;
}

static uint32_t poll(void *t, const director_waker *waker, director_ended *ended) { return ((task *)t)->poll(t, waker, ended); }
static uint32_t drop(void *t) { free(t); return DIRECTOR_READY; }
static const director_future_vtable functions = { sizeof functions, poll, drop };

static director_future begin(uint64_t number, uint64_t client,
                             uint32_t (*poll)(task *, const director_waker *, director_ended *))
{
    task *t = calloc(1, sizeof *t);
    if (t) {
        t->poll = poll, t->number = number, t->client = client;
        if (client) {
            director_ticket_spec spec = { sizeof spec, 0 };
            t->ticket = host.ticket(host.chain(number, 1), &spec);
            say(t, DIRECTOR_EVENT_BEGIN, 0, 0);
        }
    }
    return (director_future){ t, &functions }; /* a null task could not be made */
}

static director_future serve(void *i, uint64_t number, const director_client_info *client) { (void)i; return begin(number, client->stream, poll_session); }
static director_future probe(void *i, uint64_t number, uint64_t stream, const director_node_info *node) { (void)i, (void)stream, (void)node; return begin(number, 0, poll_probe); }
static director_future watch(void *i, uint64_t number, uint64_t stream, const director_node_info *node) { (void)i, (void)stream, (void)node; return begin(number, 0, poll_rest); }
static director_future run(void *i, uint64_t number) { (void)i; return begin(number, 0, poll_rest); }
static void *create(director_bytes options, const director_instance_info *info, director_owned *mistakes) { (void)options, (void)info, (void)mistakes; return &host; /* it has no options */ }
static uint32_t destroy(void *i) { (void)i; return DIRECTOR_READY; }
static director_failure_table failures(void) { return (director_failure_table){ NULL, 0 }; }
static const director_plugin_api api = { sizeof api, create, destroy, failures, serve, probe, watch, run, { 0 } };

static const director_plugin_api *init(const director_host_api *from, director_owned *error)
{
    (void)error; /* the host has compared the versions in the descriptor before it called */
    memcpy(&host, from, from->size < sizeof host ? from->size : sizeof host);
    return &api;
}

const director_descriptor DIRECTOR_SYMBOL = {
    sizeof(director_descriptor), DIRECTOR_MAGIC, DIRECTOR_MAJOR, DIRECTOR_MINOR, 0, 0, DIRECTOR_PANIC_UNWIND, 0,
    TEXT("switch"), TEXT("1.0.0"), TEXT("C"), TEXT(DIRECTOR_TARGET), init, { 0 } };
