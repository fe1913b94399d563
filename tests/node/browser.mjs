// Two browsers chat: a message typed in one page is read in the other.
//
//   DS_URL=http://127.0.0.1:7101 node browser.mjs
//
// Settings: DS_COUNT messages each way (5), DS_PAUSE_MS between two (200), CHROMIUM (/usr/bin/chromium),
// SCREENSHOTS a directory for pictures of the page (none), DEADLINE_MS for all of it (180000). Prints
// {"step":"first"} when the first message was read, then {"ok":...}. Holds when every message is shown
// exactly once in both pages and in order, nothing that a user wrote became markup, and a page that enters
// a long room reads the end of it alone.
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { chromium } from "playwright-core"
import { Wrong, difference, pause, reached, run, setting, until } from "./report.mjs"

const HOSTILE = `<img src=x onerror="document.title='owned'"><b>bold</b> & "quotes"`
const PATIENCE = 20_000
// A page reads a hundred writes of each server on entering; of three servers that is less than this.
const LONG = 400, READ = 300

await run(async () => {
  const base = setting("DS_URL")
  const count = Number(setting("DS_COUNT", "5"))
  const gap = Number(setting("DS_PAUSE_MS", "200"))
  const pictures = process.env.SCREENSHOTS
  const room = `browser-${Date.now()}-${Math.random().toString(36).slice(2)}`
  const directory = await mkdtemp(join(tmpdir(), "chat-browser-"))
  const context = await chromium.launchPersistentContext(directory, {
    executablePath: setting("CHROMIUM", "/usr/bin/chromium"),
    headless: true,
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--disable-dev-shm-usage",
    ],
  })
  try {
    const troubles = []
    const ann = await enter(context, base, room, "ann", troubles)
    const bob = await enter(context, base, room, "bob", troubles)

    const sent = []
    const say = async (page, text) => {
      sent.push(text)
      await page.fill("#text", text)
      await page.click("#send")
    }
    await say(ann, HOSTILE)
    await until("the first message", PATIENCE, async () => (await shown(bob)).includes(HOSTILE))
    reached("first")
    for (const page of [ann, bob]) {
      const markup = await page.locator("#messages img, #messages b").count()
      if (markup || (await page.title()) === "owned") throw new Wrong("a user's text became markup")
    }
    for (let i = 1; i <= count; i++) {
      await say(ann, `ann ${i}`)
      await say(bob, `bob ${i}`)
      await pause(gap)
    }
    const pages = { ann, bob }
    for (const [who, page] of Object.entries(pages)) {
      await until(`all messages at ${who}`, PATIENCE, async () => {
        const texts = await shown(page)
        return sent.every(text => texts.includes(text)) && (await page.locator(".waiting").count()) === 0
      })
      const texts = await shown(page)
      for (const writer of ["ann", "bob"]) {
        const own = sent.filter(text => text === HOSTILE ? writer === "ann" : text.startsWith(writer))
        const wrong = difference(own, texts.filter(text => own.includes(text)))
        if (wrong) throw new Wrong(`at ${who}: ${wrong}`)
      }
      await until(`the state at ${who}`, PATIENCE, async () => (await page.textContent("#state")) === "connected")
      if (pictures) await page.screenshot({ path: join(pictures, `${who}.png`) })
    }
    const people = await bob.textContent("#people")
    if (!people.includes("ann")) throw new Wrong(`bob is not told of ann: ${people}`)
    const long = await lengthOfALongRoom(context, base, `long-${room}`, troubles)
    if (long < LONG - READ || long > READ) throw new Wrong(`${long} of ${LONG} messages of a long room were read`)
    if (troubles.length) throw new Wrong(`the page complained: ${troubles[0]}`)
    return { room, messages: sent.length }
  } finally {
    await context.close()
    await rm(directory, { recursive: true, force: true })
  }
})

/** How many messages a page shows that enters a room of LONG. */
async function lengthOfALongRoom(context, base, room, troubles) {
  const say = async text => {
    const answer = await fetch(`${base}/v1/stream/rooms/${room}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ from: "dan", text, at: new Date().toISOString() }),
    })
    if (!answer.ok) throw new Wrong(`a long room's message was answered ${answer.status}`)
  }
  for (let i = 1; i < LONG; i += 20) {
    const some = Array.from({ length: Math.min(20, LONG - i) }, (_, more) => say(`dan ${i + more}`))
    await Promise.all(some)
  }
  await say("the last")
  const page = await enter(context, base, room, "cat", troubles)
  await until("the end of a long room", PATIENCE, async () => (await shown(page)).includes("the last"))
  return (await shown(page)).length
}

async function enter(context, base, room, name, troubles) {
  const page = await context.newPage()
  page.on("pageerror", error => troubles.push(String(error)))
  page.on("console", message => {
    // A browser writes every lost connection there; that is what it is there to survive.
    if (message.type() === "error" && !/Failed to load resource|net::ERR/.test(message.text())) {
      troubles.push(message.text())
    }
  })
  await page.goto(`${base}/#${room}`)
  await page.fill("#name", name)
  await page.fill("#room", room)
  await page.click("#join")
  await until(`${name} connected`, PATIENCE, async () => (await page.textContent("#state")) === "connected")
  return page
}

// Only what the server has delivered: a message under way is not shown yet.
function shown(page) {
  return page.locator("#messages li:not(.waiting) .text").allTextContents()
}
