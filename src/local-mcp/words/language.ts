import { LazyRegExp, pattern } from "./pattern.ts";

/** Pure. */

const foreign = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:der|die|das|ist|und|für|mit|wir|ich|nicht|bei|le|les|une?|est|pour|dans|avec|nous|sur|el|
    los|las|
    una?|es|para|con|en|por|il|gli|lo|che|per|di|nel|da|jest|dla|na|się|że|nie|non|nur|noch|je|que|sans|sin|
    senza|
    bez|tylko|bitte|zu|eine[nmr]?|um|não|het|een|voor|met|och|för|ile|için|bir|и|в|на|для|не|с)(?!\p{L})|
    [^\p{Script=Latin}\P{L}]|[\u00C0-\u024F]
  `,
  "iu",
);
const english = new LazyRegExp(
  String.raw`(?<!\p{L})(?:the|and|of|to|is|are|it|that|this|with|for|you|our|your|my|please|be|by|from|but|not|can|will|should|must|let['’]?s|has|have|its)(?!\p{L})`,
  "iu",
);

/** Judges the language by its small words. */
export function isForeign(text: string): boolean {
  return foreign.test(text) && !english.test(text);
}
