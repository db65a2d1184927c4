/** Does one piece of work after the other. A failure is its caller's: the next in turn does not hear of it. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

export function makeInTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  };
}
