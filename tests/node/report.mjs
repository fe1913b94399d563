// How a script of this directory ends: one line of JSON on standard output, and its exit status.

/** What went wrong, for the one who started the script. */
export class Wrong extends Error {}

/** A setting from the environment, or its default; without a default it has to be there. */
export function setting(name, fallback) {
  const value = process.env[name] ?? fallback
  if (value === undefined) throw new Wrong(`${name} is not set`)
  return value
}

/** Tells whoever started the script that `step` is reached, so that it may do its part (kill a server, say). */
export function reached(step) {
  process.stdout.write(`${JSON.stringify({ step })}\n`)
}

/** Runs `story`, prints its result, and ends the process: 0 when it held, 1 when not. */
export async function run(story) {
  const deadline = Number(process.env.DEADLINE_MS ?? 180_000)
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Wrong(`not done within ${deadline} ms`)), deadline)
  })
  let result
  try {
    result = { ok: true, ...(await Promise.race([story(), late])) }
  } catch (error) {
    result = { ok: false, error: error instanceof Wrong ? error.message : String(error?.stack ?? error) }
  }
  clearTimeout(timer)
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(result.ok ? 0 : 1))
}

export const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

/** Waits until `found()` gives something, looking now and then. */
export async function until(what, ms, found) {
  const end = Date.now() + ms
  for (;;) {
    const value = await found()
    if (value) return value
    if (Date.now() > end) throw new Wrong(`${what}: not within ${ms} ms`)
    await pause(20)
  }
}

/** The first difference between what was sent and what came; undefined when there is none. */
export function difference(sent, came) {
  const times = new Map()
  for (const one of came) times.set(one, (times.get(one) ?? 0) + 1)
  const twice = [...times].filter(([, count]) => count > 1).map(([one]) => one)
  if (twice.length) return `came more than once: ${twice.slice(0, 5).join(", ")}`
  const missing = sent.filter(one => !times.has(one))
  if (missing.length) return `never came (${missing.length}): ${missing.slice(0, 5).join(", ")}`
  const own = new Set(sent)
  const order = came.filter(one => own.has(one))
  const at = sent.findIndex((one, index) => order[index] !== one)
  return at < 0 ? undefined : `out of order: ${order[at]} came where ${sent[at]} was sent`
}
