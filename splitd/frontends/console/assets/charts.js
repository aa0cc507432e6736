// Charts of the last hour: lines in SVG, with a table of the same numbers for those who cannot see them.
import { html, useRef, useState } from "./html.js";
import { t } from "./texts.js";

const WIDTH = 600;
const HEIGHT = 120;
const HOUR_MS = 3600 * 1000;
const LEAST_MS = 5 * 60 * 1000; // what a chart shows of a front that has just been started

/** A number of at least `most` that is a step of a scale; `base` is what units grow by. */
function ceiling(most, base) {
  if (most <= 0) return 1;
  const unit = base === 10 ? 1 : base ** Math.max(0, Math.floor(Math.log(most) / Math.log(base)));
  const power = unit * 10 ** Math.floor(Math.log10(most / unit));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= most);
}

/** A chart.  `series` are {name, points: [[ms, value]], className}; `format` says a value in words. */
export function Chart({ title, series, format, now, base = 10 }) {
  const ref = useRef();
  const [at, setAt] = useState(null);
  const most = ceiling(Math.max(0, ...series.flatMap(({ points }) => points.map(([, value]) => value))), base);
  const span = Math.min(HOUR_MS, Math.max(LEAST_MS, now - (series[0].points[0] || [now])[0]));
  const x = (ms) => WIDTH * (1 - (now - ms) / span);
  const y = (value) => HEIGHT - (HEIGHT - 6) * (value / most);
  const line = (points) => points.map(([ms, value], index) => `${index ? "L" : "M"}${x(ms).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const area = (points) => (points.length ? `${line(points)}L${x(points.at(-1)[0]).toFixed(1)} ${HEIGHT}L${x(points[0][0]).toFixed(1)} ${HEIGHT}Z` : "");
  const point = (event) => {
    const box = ref.current.getBoundingClientRect();
    const ms = now - span * (1 - (event.clientX - box.left) / box.width);
    const nearest = series[0].points.reduce((best, each, index) => (Math.abs(each[0] - ms) < Math.abs((series[0].points[best] || [0])[0] - ms) ? index : best), 0);
    setAt(series[0].points.length ? nearest : null);
  };
  const shown = at === null ? -1 : at;
  const values = series.map(({ points }) => (points.at(shown) || [0, 0])[1]);
  const when = at === null || !series[0].points[at] ? t("now") : t("minutesAgo", Math.round((now - series[0].points[at][0]) / 60000));
  return html`<figure class="chart">
    <figcaption><span class="chart-title">${title}</span>
      <span class="chart-values">${series.map(({ name, className }, index) => html`<span class=${className}><i></i>${name} <b>${format(values[index])}</b></span>`)}
        <span class="hint">${when}</span></span></figcaption>
    <div class="chart-area" ref=${ref} onPointerMove=${point} onPointerLeave=${() => setAt(null)}>
      <svg overflow="hidden" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${`${title}: ${series.map(({ name }, index) => `${name} ${format(values[index])}`).join(", ")}`}>
        <path class="rule" d=${`M0 6H${WIDTH}M0 ${(HEIGHT + 6) / 2}H${WIDTH}M0 ${HEIGHT}H${WIDTH}`} />
        ${series.map(({ points, className }) => html`<path class=${`area ${className}`} d=${area(points)} /><path class=${`line ${className}`} d=${line(points)} />`)}
        ${at !== null && series[0].points[at] && html`<path class="cursor-line" d=${`M${x(series[0].points[at][0]).toFixed(1)} 0V${HEIGHT}`} />`}
      </svg>
      <span class="chart-most">${format(most)}</span>
    </div>
    <div class="chart-times" aria-hidden="true"><span>${span === HOUR_MS ? t("hourAgo") : t("minutesAgo", Math.round(span / 60000))}</span><span>${t("now")}</span></div>
  </figure>`;
}

/** What two counters have grown by a second, sample by sample. */
export function rates(samples, index) {
  const points = [];
  for (let at = 1; at < samples.length; at += 1) {
    const [before, after] = [samples[at - 1], samples[at]];
    const seconds = (after[0] - before[0]) / 1000;
    // A counter that has fallen is that of a front that was started again.
    if (seconds > 0) points.push([after[0], Math.max(0, after[index] - before[index]) / seconds]);
  }
  return points;
}

export const values = (samples, index) => samples.map((sample) => [sample[0], sample[index]]);
