import { LazyRegExp, pattern } from "./pattern.ts";

/** Pure. */

export const done = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:done|added|finished|fixed|completed?|implemented|written|wrote|passes|passed|passing|green|
    works now|updated|created|removed|renamed|migrated|merged|committed|ran|fertig|erledigt|hinzugefügt|
    behoben|
    terminé|fait|ajouté|corrigé|hecho|terminado|añadido|fatto|completato|feito|concluído|klaar|gotowe|
    готово|
    сделано|добавил\p{L}*|исправил\p{L}*)(?!\p{L})|完成|已经|しました|できました|완료
  `,
  "iu",
);

/** Reports finished work, unless a word says that it is ahead. */
export function isFinished(sentence: string): boolean {
  return (
    done.test(sentence) &&
    !/(?<!\p{L})(?:not|yet|until|before|once|after|when|half|partly|almost|nearly|mostly)(?!\p{L})|n['’]t(?!\p{L})/iu.test(
      sentence,
    )
  );
}
