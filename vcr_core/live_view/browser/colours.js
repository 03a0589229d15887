// Colours: tokens of the theme, light or dark, and small maps as pixels.

/** A drawing with every "$token" replaced by the theme's colour. */
export function resolved(drawing, theme) {
  if (typeof drawing === "string")
    return drawing.startsWith("$") ? theme[drawing.slice(1)] : drawing;
  if (Array.isArray(drawing)) return drawing.map((part) => resolved(part, theme));
  if (drawing && typeof drawing === "object")
    return Object.fromEntries(
      Object.entries(drawing).map(([name, part]) => [name, resolved(part, theme)]),
    );
  return drawing;
}

/** Red, green, blue and opacity of any CSS colour. */
export function channels(colour) {
  const context = canvasOf(1);
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data;
}

/** @param {ArrayLike<number>} channels */
export function isDark({ 0: red, 1: green, 2: blue, 3: opacity }) {
  return opacity > 0 && 0.299 * red + 0.587 * green + 0.114 * blue < 128;
}

/** 255 colours for -127 … 127. */
export function colourTable(stops) {
  const context = canvasOf(255);
  const gradient = context.createLinearGradient(0, 0, 255, 0);
  for (const [place, colour] of stops) gradient.addColorStop(place, colour);
  context.fillStyle = gradient;
  context.fillRect(0, 0, 255, 1);
  return context.getImageData(0, 0, 255, 1).data;
}

/** A symmetric matrix from its lower triangle (whole numbers -127 … 127), one pixel an entry. */
export function pixels(size, triangle, colours) {
  const data = new Uint8ClampedArray(4 * size * size);
  let next = 0;
  for (let row = 0; row < size; row++)
    for (let column = 0; column <= row; column++) {
      const colour = 4 * (triangle[next++] + 127);
      for (const pixel of [row * size + column, column * size + row])
        data.set(colours.subarray(colour, colour + 4), 4 * pixel);
    }
  return data;
}

function canvasOf(width) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height: 1 });
  return canvas.getContext("2d", { willReadFrequently: true });
}
