/** The source of a long regular expression, written over several lines: line ends and indentation are not part of it. */
export function pattern(source: TemplateStringsArray, ...parts: readonly string[]): string {
  return String.raw(source, ...parts).replaceAll(/\n\s*/g, "");
}
