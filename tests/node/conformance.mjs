// Runs the protocol's suite and says what it found, group by group.
//
//   DS_URL=http://127.0.0.1:7101 DS_LONG_POLL_MS=2000 node conformance.mjs [--failures]
//
// Prints a table on standard error and one line of JSON on standard output:
// {"ok":true,"passed":P,"failed":F,"skipped":S,"groups":{"SSE Mode":{"passed":31,"failed":0}, ...}}.
// `ok` says that the suite ran; how many have to pass is for whoever asked to decide.
import { spawn } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { Wrong, run, setting } from "./report.mjs"

const here = dirname(fileURLToPath(import.meta.url))
process.env.DEADLINE_MS ??= "280000"

await run(async () => {
  setting("DS_URL")
  const directory = await mkdtemp(join(tmpdir(), "conformance-"))
  const file = join(directory, "report.json")
  try {
    await vitest(file)
    const report = JSON.parse(await readFile(file, "utf8"))
    return summary(report)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})

function vitest(file) {
  const child = spawn(
    process.execPath,
    [
      // The suite's 5 s are its own arithmetic on a busy machine (one test compares 100,000 bytes one by one).
      join(here, "node_modules/vitest/vitest.mjs"), "run", "conformance.test.mjs", "--testTimeout=12000",
      "--root", here, "--reporter=json", `--outputFile=${file}`,
    ],
    { cwd: here, stdio: ["ignore", "ignore", "inherit"] },
  )
  return new Promise((resolve, reject) => {
    child.on("error", reject)
    child.on("exit", code => (code === null ? reject(new Wrong("the suite was killed")) : resolve()))
  })
}

function summary(report) {
  const groups = {}
  const failures = []
  for (const test of report.testResults.flatMap(file => file.assertionResults)) {
    // The first title is the suite's own.
    const name = test.ancestorTitles.filter(title => title !== "")[0] ?? "?"
    const group = (groups[name] ??= { passed: 0, failed: 0, skipped: 0 })
    const kind = test.status === "passed" ? "passed" : test.status === "failed" ? "failed" : "skipped"
    group[kind] += 1
    if (kind === "failed") failures.push(`${name} > ${test.title}: ${test.failureMessages[0]?.split("\n")[0]}`)
  }
  const total = kind => Object.values(groups).reduce((sum, group) => sum + group[kind], 0)
  for (const [name, { passed, failed, skipped }] of Object.entries(groups)) {
    console.error(`${String(passed).padStart(4)} passed ${String(failed).padStart(3)} failed  ${name}${skipped ? ` (${skipped} skipped)` : ""}`)
  }
  if (process.argv.includes("--failures")) for (const one of failures) console.error(one)
  if (!total("passed") && !total("failed")) throw new Wrong("the suite ran no test")
  return { passed: total("passed"), failed: total("failed"), skipped: total("skipped"), groups }
}
