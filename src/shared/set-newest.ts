/** Sets an entry as the newest; of more than `max` the oldest goes. */
export function setNewest<Key, Value>(entries: Map<Key, Value>, key: Key, value: Value, max: number): void {
  entries.delete(key);
  entries.set(key, value);
  const [oldest] = entries.keys();
  if (oldest !== undefined && entries.size > max) entries.delete(oldest);
}
