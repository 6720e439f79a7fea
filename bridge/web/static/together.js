// Which words of a line somebody else speaks at the same time as. Pure.

/**
 * The text cut into `{text, other}`: `other` speaks during these words, too; null is nobody. Words are looked for in
 * the order they come in; one that the text does not have is passed over.
 */
export function piecesOf(text, words) {
  const pieces = [];
  let taken = 0;
  const take = (end, other) => {
    const part = text.slice(taken, end);
    if (part && pieces.length && pieces.at(-1).other === other) pieces.at(-1).text += part;
    else if (part) pieces.push({ text: part, other });
    taken = end;
  };
  let before = null;
  for (const { word, overlap = null } of words) {
    const place = text.indexOf(word.trim(), taken);
    if (place < 0) continue;
    take(place, overlap === before ? overlap : null); // a gap is spoken over where the words on both sides are
    take(place + word.trim().length, overlap);
    before = overlap;
  }
  take(text.length, null);
  return pieces;
}
