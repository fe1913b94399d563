// The protocol's own suite, against the server at DS_URL.
//
//   DS_URL=http://127.0.0.1:7101 npx vitest run conformance.test.mjs
//
// DS_LONG_POLL_MS is the server's long-poll timeout (webfs serve --long-poll): the suite waits that
// long for answers that do not come.
import { runConformanceTests } from "@durable-streams/server-conformance-tests"

const baseUrl = process.env.DS_URL
if (!baseUrl) {
  throw new Error("DS_URL is not set: the base URL of the server under test, as http://127.0.0.1:7101")
}

runConformanceTests({
  baseUrl,
  longPollTimeoutMs: Number(process.env.DS_LONG_POLL_MS ?? 20_000),
  subscriptions: false,
})
