/** Puts something back as it stood when it was kept; as often as wanted. */
export type PutBack = () => void;

/** @param copy of a value that changes in place */
export function keepMap<Key, Value>(map: Map<Key, Value>, copy: (value: Value) => Value = (value) => value): PutBack {
  const kept = [...map].map(([key, value]) => [key, copy(value)] as const);
  return () => {
    map.clear();
    for (const [key, value] of kept) map.set(key, copy(value));
  };
}

export function keepSet<Value>(set: Set<Value>): PutBack {
  const kept = [...set];
  return () => {
    set.clear();
    for (const value of kept) set.add(value);
  };
}

export function all(...parts: readonly PutBack[]): PutBack {
  return () => {
    for (const putBack of parts) putBack();
  };
}
