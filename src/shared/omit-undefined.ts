/** Removes undefined fields: absent and undefined differ for a schema and for a spread. */
export function omitUndefined<T extends object>(values: T): { [Name in keyof T]?: NonNullable<T[Name]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
