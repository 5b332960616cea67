/** A fraction as claims show it: with one decimal, in percent. */
export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`;
}
