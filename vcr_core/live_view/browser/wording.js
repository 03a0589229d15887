// Numbers and sentences as a person reads them.

export function shown(value, format) {
  if (value === null || value === undefined) return "–";
  if (format === "percent") return `${(100 * value).toFixed(1)} %`;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 10000 || size < 0.001) return value.toExponential(1).replace("e+", "e");
  if (size >= 100) return value.toFixed(0);
  return value.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** A sentence with its places {name} filled in. */
export function filledIn(template, values) {
  return template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
