// Sends files by tus, so that they can be continued: after a pause, a lost network, a restart of the server, a reload.
import { base, call, failureOf, Failure, ownHeaders, split, urlOf } from "./api.js";
import "./vendor/tus.js";

const { tus } = window;
const PAUSES = [0, 1000, 2000, 5000, ...Array(360).fill(10000)]; // an hour; each success begins anew
const AGAIN = new Set([0, 409, 423, 429, 460, 500, 502, 503, 504]);

const folderUrl = (path) => `${base}/.splitd/uploads${urlOf(split(path)[0]).slice(base.length)}`;

/** Send a file, from where the server has it on.
 *
 *  `progress`, `lost` and `begun` are told of bytes that were sent, of a lost connection, and of the upload's address.
 */
export function resume(upload, conditions, { progress, lost, begun }) {
  let again = !!upload.url;
  return new Promise((done, failed) => {
    const sending = new tus.Upload(upload.file, {
      endpoint: folderUrl(upload.path),
      uploadUrl: upload.url || null,
      headers: { ...ownHeaders(), ...conditions },
      metadata: { filename: split(upload.path)[1], ...(upload.file.type && { filetype: upload.file.type }) },
      retryDelays: PAUSES,
      storeFingerprintForResuming: false,
      onUploadUrlAvailable: () => {
        upload.url = sending.url;
        begun();
      },
      onProgress: progress,
      onShouldRetry: (problem) => {
        const status = statusOf(problem);
        if (!AGAIN.has(status) || (status === 409 && !upload.url)) return false;
        again = true;
        lost();
        return true;
      },
      // All bytes are there, but whether they have become the file nobody has said if the last answer was lost, or was
      // a refusal.  To ask twice does no harm.
      onSuccess: () => (again ? finish(upload, conditions).then(done, failed) : done()),
      onError: (problem) => {
        const answer = problem.originalResponse;
        failed(answer ? failureOf(answer.getStatus(), answer.getBody() || "", answer.getHeader("Content-Type")) : new Failure(0, ""));
      },
    });
    upload.request = { abort: () => sending.abort().then(() => failed(new Failure(-1, ""))) };
    sending.start();
  });
}

const statusOf = (problem) => (problem.originalResponse ? problem.originalResponse.getStatus() : 0);

/** Make the file of bytes that are there; nothing changes if it has been made. */
async function finish(upload, conditions) {
  const protocol = { "Tus-Resumable": "1.0.0" };
  const head = await call("HEAD", upload.url, { headers: protocol });
  const offset = Number(head.headers.get("Upload-Offset"));
  await call("PATCH", upload.url, {
    headers: { ...conditions, ...protocol, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" },
    body: upload.file.slice(offset),
  });
}
