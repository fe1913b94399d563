// The protocol's own client, as npm has it, writes a stream and reads it live at the same time.
//
//   DS_URL=http://127.0.0.1:7101 node stock-client.mjs
//
// Settings: DS_LIVE sse or long-poll (sse), DS_PATH below /v1/stream/ (a room by chance), DS_COUNT messages
// (50), DS_PAUSE_MS between two (20), DEADLINE_MS for all of it (180000). Prints {"step":"first"} when the
// first message has come back, then {"ok":...}. Holds when every message came exactly once, in order.
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client"
import { Wrong, difference, pause, reached, run, setting, until } from "./report.mjs"

await run(async () => {
  const base = setting("DS_URL")
  const live = setting("DS_LIVE", "sse")
  const count = Number(setting("DS_COUNT", "50"))
  const gap = Number(setting("DS_PAUSE_MS", "20"))
  const path = setting("DS_PATH", `rooms/stock-${Date.now()}-${Math.random().toString(36).slice(2)}`)
  const url = `${base}/v1/stream/${path}`

  const handle = await DurableStream.create({ url, contentType: "application/json" })
  const came = []
  const offsets = []
  const reader = await stream({ url, offset: "-1", live, json: true })
  const stop = reader.subscribeJson(batch => {
    for (const item of batch.items) came.push(item.text)
    offsets.push(batch.offset)
    if (came.length && came.length === batch.items.length) reached("first")
  })

  const errors = []
  const producer = new IdempotentProducer(handle, `stock-${Math.random().toString(36).slice(2)}`, {
    autoClaim: true,
    onError: error => errors.push(String(error)),
  })
  const sent = []
  for (let i = 1; i <= count; i++) {
    const text = `message ${i}`
    sent.push(text)
    producer.append(JSON.stringify({ from: "stock", text, at: new Date().toISOString() }))
    await pause(gap)
  }
  await producer.flush()
  if (errors.length) throw new Wrong(`the producer failed: ${errors[0]}`)
  await until("the last message", 20_000, () => came.includes(sent.at(-1)))
  stop()
  reader.cancel()
  await producer.detach?.()

  const again = await (await stream({ url, offset: "-1", live: false })).json()
  const wrong =
    difference(sent, came) ??
    difference(sent, again.map(item => item.text)) ??
    (offsets.every((offset, i) => i === 0 || offsets[i - 1] <= offset) ? undefined : "an offset fell")
  if (wrong) throw new Wrong(wrong)
  return { live, sent: sent.length, received: came.length }
})
