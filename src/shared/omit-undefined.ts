/** Without what is undefined: a field that is absent and one that is undefined are not the same to a schema, nor to a spread. */
export function omitUndefined<T extends object>(values: T): { [Name in keyof T]?: NonNullable<T[Name]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
