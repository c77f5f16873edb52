/**
 * Characters that hide or reorder text, as a source for `u` expressions: marks of direction,
 * zero-width, tags, supplementary variation selectors, soft hyphens, blanks of no width.
 */
export const unseen = String.raw`[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E\u2060-\u206F\u3164\uFEFF\uFFA0\uFFF9-\uFFFB]|[\u{E0000}-\u{E0FFF}]`;

const emoji = String.raw`\p{Extended_Pictographic}[\uFE0F\p{Emoji_Modifier}]?`;
/** Emoji that a zero-width character joins, and flags of Great Britain, which end in tags. */
export const joinedEmoji = String.raw`${emoji}(?:\u200D${emoji})+|\u{1F3F4}\u{E0067}\u{E0062}[\u{E0061}-\u{E007A}]{3}\u{E007F}`;
