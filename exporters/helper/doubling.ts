/** What goes on is said the first time and then at every doubling of its count: a night of outage is a screenful. */
export function isDoubling(count: number): boolean {
  return (count & (count - 1)) === 0;
}
