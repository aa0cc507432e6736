// Sizes, times and kinds of files, in the words of the reader.
import { formatMoment, formatNumber, formatTime, units } from "./languages.js";
import { t } from "./texts.js";

export { formatMoment, formatNumber, formatTime };

/** A number of bytes, with three digits. */
export function formatSize(bytes) {
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit && value < 100 ? 1 : 0;
  return `${formatNumber(value, digits)} ${units[unit]}`;
}

/** A span of time, as short as it can be said. */
export function formatSpan(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 90) return t("seconds", Math.max(1, Math.round(seconds)));
  if (seconds < 5400) return t("minutes", Math.round(seconds / 60));
  if (seconds < 129600) return t("hours", Math.round(seconds / 3600));
  return t("days", Math.round(seconds / 86400));
}

const kinds = {
  image: "apng avif bmp gif ico jpeg jpg png svg webp heic tif tiff",
  video: "mp4 m4v mov webm mkv avi ogv",
  audio: "mp3 m4a aac flac ogg oga opus wav",
  pdf: "pdf",
  markdown: "md markdown mkd",
  archive: "zip tar gz tgz bz2 xz zst 7z rar deb rpm iso dmg",
  code: "c h cc cpp hpp cs css go hs html htm java js mjs ts tsx jsx json kt lua php pl py rb rs scala sh bash sql swift toml vue xml yaml yml zig ini cfg conf diff patch dockerfile makefile",
  text: "txt log csv tsv rst tex srt vtt nfo",
  sheet: "xls xlsx ods",
  document: "doc docx odt rtf ppt pptx odp epub",
};
const byEnding = new Map(Object.entries(kinds).flatMap(([kind, endings]) => endings.split(" ").map((each) => [each, kind])));

/** What kind of file this is, by the end of its name, else by its type. */
export function kindOf(row) {
  if (row.isFolder) return "folder";
  const name = row.name.toLowerCase();
  const known = byEnding.get(name.slice(name.lastIndexOf(".") + 1));
  if (known) return known;
  const [whole, main] = [row.type, row.type.split("/")[0]];
  if (["image", "video", "audio", "text"].includes(main)) return main;
  if (whole === "application/pdf") return "pdf";
  return /json|xml|javascript/.test(whole) ? "code" : "other";
}
