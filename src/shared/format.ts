export { age } from "../contract/age.ts";

export function clip(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 20)} ... [${text.length - max + 20} more]`;
}
