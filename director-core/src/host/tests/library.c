/* A library for the loader's tests: a plugin, or nearly one, as its macros say. */
#include <director_plugin.h>

#include <stddef.h>
#include <stdio.h>

#ifndef SYMBOL
#define SYMBOL director_plugin_v1
#endif
#ifndef MAGIC
#define MAGIC DIRECTOR_MAGIC
#endif
#ifndef SIZE
#define SIZE sizeof(director_descriptor)
#endif
#ifndef ABI_MAJOR
#define ABI_MAJOR 1
#endif
#ifndef MIN_HOST_MINOR
#define MIN_HOST_MINOR 0
#endif
#ifndef FLAGS
#define FLAGS (DIRECTOR_PANIC_UNWIND | DIRECTOR_POOLED_LINKS)
#endif
#ifndef TARGET
#define TARGET DIRECTOR_TARGET
#endif
#ifndef KIND
#define KIND 5
#endif

/* Code that runs as soon as the library is mapped: it leaves a mark. */
__attribute__((constructor)) static void mapped(void)
{
    FILE *mark = fopen(MARK, "w");
    if (mark)
        fclose(mark);
}

#ifndef NO_PLUGIN

static unsigned begun;

static void *create(director_bytes options, const director_instance_info *info,
                    director_owned *mistakes)
{
    (void)options, (void)info, (void)mistakes;
    return begun == 1 ? &begun : NULL;
}

static uint32_t destroy(void *instance)
{
    (void)instance;
    return DIRECTOR_READY;
}

static director_failure_table failures(void)
{
    static const director_failure_row rows[] = {{400, 499, KIND}};
    director_failure_table table = {rows, 1};
    return table;
}

static director_future nothing(void)
{
    director_future none = {NULL, NULL};
    return none;
}

static director_future serve(void *instance, uint64_t task, const director_client_info *client)
{
    (void)instance, (void)task, (void)client;
    return nothing();
}

static director_future ask(void *instance, uint64_t task, uint64_t stream,
                           const director_node_info *node)
{
    (void)instance, (void)task, (void)stream, (void)node;
    return nothing();
}

#ifndef WITHOUT_RUN
static director_future run(void *instance, uint64_t task)
{
    (void)instance, (void)task;
    return nothing();
}
#define RUN run
#else
#define RUN NULL
#endif

static const director_plugin_api *init(const director_host_api *host, director_owned *error)
{
    static const director_plugin_api api = {
        .size = sizeof api,
        .create = create,
        .destroy = destroy,
        .failures = failures,
        .serve = serve,
        .probe = ask,
        .watch = ask,
        .run = RUN,
    };
    (void)host;
    begun++;
#ifdef REFUSES
    static char why[] = REFUSES;
    error->ptr = (uint8_t *)why;
    error->len = sizeof why - 1;
    return NULL;
#else
    (void)error;
    return &api;
#endif
}

#define TEXT(text) {(const uint8_t *)text, sizeof text - 1}

const director_descriptor SYMBOL = {
    .size = SIZE,
    .magic = MAGIC,
    .abi_major = ABI_MAJOR,
    .abi_minor = DIRECTOR_MINOR,
    .min_host_minor = MIN_HOST_MINOR,
    .flags = FLAGS,
    .name = TEXT("near"),
    .version = TEXT("1.2"),
    .sdk = TEXT("C"),
    .target = TEXT(TARGET),
    .init = init,
};

#endif
