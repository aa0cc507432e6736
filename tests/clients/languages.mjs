// Compares what the console's page writes with what the engine's own `Intl` writes: languages.mjs MODULE LANGUAGE
const [path, language] = process.argv.slice(2);
globalThis.localStorage = { getItem: () => language };
const { formatNumber, formatTime, plural } = await import(path);
const plain = (text) => text.replace(/\s/gu, " ");
const wrong = [];
const same = (what, ours, theirs) => plain(ours) === plain(theirs) || wrong.push([what, ours, theirs]);
const rules = new Intl.PluralRules(language);
for (const number of [...Array(230).keys(), 1000, 1001, 1011, 1.5, 0.1, 21.5]) same(number, plural(number), rules.select(number));
for (const digits of [0, 1]) {
  const format = new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  for (const number of [0, 7, 9.96, 99.94, 999, 1000, 12345.6, 1234567, 1e12]) same(number, formatNumber(number, digits), format.format(number));
}
const now = new Date(2026, 5, 15, 12).getTime();
const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
const date = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric" });
const clock = new Intl.DateTimeFormat(language, { timeStyle: "short" });
for (let month = 0; month < 12; month += 1) {
  for (const number of [1, 9, 28]) {
    const [here, before] = [new Date(2026, month, number, 8), new Date(2024, month, number, 8)];
    same(month, formatTime(here.getTime(), now), day.format(here));
    same(month, formatTime(before.getTime(), now), date.format(before));
  }
}
for (let hour = 0; hour < 24; hour += 1) {
  const moment = new Date(2026, 5, 15, hour, 5);
  same(hour, formatTime(moment.getTime(), now), clock.format(moment));
}
console.log(JSON.stringify(wrong));
