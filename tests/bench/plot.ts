/** What something costs for 1, 10 and 100 times the amount of something. */
export interface Course {
  readonly name: string;
  readonly of: string;
  readonly unit: string;
  readonly sizes: readonly number[];
  readonly costs: readonly number[];
}

const [width, height] = [720, 420];
const area = { left: 64, right: 470, top: 24, bottom: 372 };
const colors = ['#1f77b4', '#d62728', '#2ca02c', '#9467bd', '#ff7f0e', '#8c564b', '#17becf'];

/** The end of the vertical axis: 200 times the cost. Both axes are logarithmic. */
const most = Math.log10(200);
const x = (times: number): number => area.left + (Math.log10(times) / 2) * (area.right - area.left);
const y = (times: number): number => area.bottom - (Math.log10(Math.max(times, 0.5)) / most) * (area.bottom - area.top);
const at = (value: number): string => value.toFixed(1);

/** Draws each course as a line from 1x to 100x, with its cost relative to that at 1x, beside a line for linear growth. */
export function plot(courses: readonly Course[]): string {
  const ticks = [1, 10, 100];
  const grid = ticks.map(
    (times) => `
  <path d="M${at(x(times))} ${area.top}V${area.bottom}M${area.left} ${at(y(times))}H${area.right}" stroke="#ddd"/>
  <text x="${at(x(times))}" y="${area.bottom + 18}" text-anchor="middle">${times}x</text>
  <text x="${area.left - 8}" y="${at(y(times) + 4)}" text-anchor="end">${times}x</text>`,
  );
  const lines = courses.map(({ name, of, sizes, costs }, index) => {
    const color = colors[index % colors.length];
    const points = sizes.map(
      (size, one) => `${at(x(size / (sizes[0] ?? 1)))},${at(y((costs[one] ?? 0) / (costs[0] ?? 1)))}`,
    );
    const row = area.top + 16 + index * 34;
    return `
  <polyline points="${points.join(' ')}" fill="none" stroke="${color}" stroke-width="2"/>
  <path d="M${area.right + 14} ${row - 4}h18" stroke="${color}" stroke-width="3"/>
  <text x="${area.right + 38}" y="${row}">${name}</text>
  <text x="${area.right + 38}" y="${row + 13}" fill="#777">by ${of}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
  <title>How cost grows</title>
  <rect width="${width}" height="${height}" fill="#fff"/>${grid.join('')}
  <path d="M${at(x(1))} ${at(y(1))}L${at(x(100))} ${at(y(100))}" stroke="#999" stroke-dasharray="5 4"/>
  <text x="${at(x(40))}" y="${at(y(62))}" fill="#999" text-anchor="end">linear</text>
  <text x="${at((area.left + area.right) / 2)}" y="${height - 10}" text-anchor="middle">how much there is</text>${lines.join('')}
</svg>
`;
}
