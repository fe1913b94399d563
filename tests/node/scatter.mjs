// A proxy that sends every request to another member of a group, by chance: what a client sees that
// talks to whichever server it happens to reach.
//
//   node scatter.mjs 7000 127.0.0.1:7101 127.0.0.1:7102 127.0.0.1:7103       (port 0: a free one)
//
// Prints {"listening":"http://127.0.0.1:PORT"}; ends with its standard input.
import http from "node:http"

const [port, ...members] = process.argv.slice(2)
if (port === undefined || !members.length) {
  console.error("usage: node scatter.mjs PORT HOST:PORT...")
  process.exit(2)
}

const server = http.createServer((request, answer) => {
  const [host, port] = members[Math.floor(Math.random() * members.length)].split(":")
  const { url: path, method, headers } = request
  const onward = http.request({ host, port, path, method, headers, agent: false }, reply => {
    answer.writeHead(reply.statusCode, reply.headers)
    // An event stream has to go on at once, also when it has nothing to say yet.
    answer.flushHeaders()
    reply.pipe(answer)
    reply.on("error", () => answer.destroy())
  })
  onward.on("error", () => answer.destroy())
  answer.on("close", () => onward.destroy())
  request.pipe(onward)
})
server.listen(Number(port), "127.0.0.1", () => {
  console.log(JSON.stringify({ listening: `http://127.0.0.1:${server.address().port}` }))
})
process.stdin.on("end", () => process.exit(0)).resume()
