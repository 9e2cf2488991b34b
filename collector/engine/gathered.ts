/** Makes one message of what is asked for within a turn. */
export function gathered<T>(send: (items: readonly T[]) => void): (item: T) => void {
  let items: T[] = [];
  return (item) => {
    if (items.push(item) > 1) return;
    setImmediate(() => {
      send(items);
      items = [];
    });
  };
}
