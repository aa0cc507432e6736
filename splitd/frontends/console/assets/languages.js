// The languages of the page, and how each one writes numbers and days.  The first list is drawn without `Intl`: its
// first use takes longer than all the rest of the page.

const languages = {
  en: {
    comma: ".",
    units: ["B", "KiB", "MiB", "GiB", "TiB", "PiB"],
    thousands: ",",
    months: "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" "),
    day: (day, month) => `${month} ${day}`,
    date: (day, month, year) => `${month} ${day}, ${year}`,
    clock: (hours, minutes) => `${hours % 12 || 12}:${minutes} ${hours < 12 ? "AM" : "PM"}`,
    plural: (number) => (number === 1 ? "one" : "other"),
  },
  ru: {
    comma: ",",
    units: ["Б", "КиБ", "МиБ", "ГиБ", "ТиБ", "ПиБ"],
    thousands: "\u00a0",
    months: "янв. февр. мар. апр. мая июн. июл. авг. сент. окт. нояб. дек.".split(" "),
    day: (day, month) => `${day} ${month}`,
    date: (day, month, year) => `${day} ${month} ${year} г.`,
    clock: (hours, minutes) => `${twoDigits(hours)}:${minutes}`,
    plural: (number) => {
      const [ten, hundred] = [number % 10, number % 100];
      if (!Number.isInteger(number)) return "other";
      if (ten === 1 && hundred !== 11) return "one";
      return ten >= 2 && ten <= 4 && (hundred < 12 || hundred > 14) ? "few" : "many";
    },
  },
};

const twoDigits = (number) => String(number).padStart(2, "0");

function find() {
  try {
    const kept = localStorage.getItem("splitd.language");
    if (Object.hasOwn(languages, kept)) return kept;
  } catch {
    // Storage is switched off.
  }
  return (navigator.language || "").toLowerCase().startsWith("ru") ? "ru" : "en";
}

export const language = find();
const { comma, thousands, months, day, date, clock, plural, units } = languages[language];

export { plural, units };

export function setLanguage(name) {
  try {
    localStorage.setItem("splitd.language", name);
  } catch {
    return;
  }
  location.reload();
}

/** A number with so many digits behind the comma. */
export function formatNumber(value, digits = 0) {
  const [whole, part] = value.toFixed(digits).split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, thousands) + (part ? comma + part : "");
}

/** A moment, as short as it can be told from others near it. */
export function formatTime(ms, now = Date.now()) {
  const moment = new Date(ms);
  const today = new Date(now);
  if (moment.toDateString() === today.toDateString()) return clock(moment.getHours(), twoDigits(moment.getMinutes()));
  const [number, month, year] = [moment.getDate(), months[moment.getMonth()], moment.getFullYear()];
  return year === today.getFullYear() ? day(number, month) : date(number, month, year);
}

let whole = null;

/** A moment, in full. */
export function formatMoment(ms) {
  whole ||= new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "medium" });
  return whole.format(new Date(ms));
}
