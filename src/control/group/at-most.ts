/** Lets so many pieces of work go on at once; who comes later waits for one of them to end, in the order of coming. */
export type AtMost = <T>(work: () => Promise<T>) => Promise<T>;

export function makeAtMost(count: number): AtMost {
  let free = count;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => void waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}
