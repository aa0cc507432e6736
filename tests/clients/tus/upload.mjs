// Uploads a file by tus-js-client.  The argument is JSON: file, endpoint, options, and pause: after so many bytes it
// prints "paused", breaks the request off, and goes on by the URL when a line comes.
import fs from 'node:fs'
import readline from 'node:readline'
import { createRequire } from 'node:module'

const asked = JSON.parse(process.argv[2])
const tus = createRequire(`${asked.modules}/`)('tus-js-client')
const lines = readline.createInterface({ input: process.stdin })
let pause = asked.pause ?? Infinity
// With a stream of a file, this version of the client says in pieces never that the last one is the last.
const source = () => (asked.whole ? fs.readFileSync(asked.file) : fs.createReadStream(asked.file))

const upload = new tus.Upload(source(), {
  endpoint: asked.endpoint,
  uploadSize: fs.statSync(asked.file).size,
  retryDelays: [100, 200, 500, 1000, 2000, 3000, 3000],
  ...asked.options,
  onError(error) {
    console.log(`failed: ${error.originalResponse?.getStatus()} ${error.message}`)
    process.exit(1)
  },
  onChunkComplete(size, accepted) {
    if (accepted >= pause) {
      pause = Infinity
      upload.abort()
      console.log('paused')
      lines.once('line', () => {
        const again = new tus.Upload(source(), { ...upload.options, uploadUrl: upload.url })
        again.options.onSuccess = done(again)
        again.start()
      })
    }
  },
})

function done(which) {
  return () => {
    console.log(`done: ${which.url}`)
    process.exit(0)
  }
}

upload.options.onSuccess = done(upload)
upload.start()
