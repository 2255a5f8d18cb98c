// What the marks of a quota bar mean, always in sight of the bars.
const WORDS = [
  ["Quota", "yours whenever you ask, taken back if need be"],
  ["Fair share", "quota plus your part of what others leave, by weight"],
  ["Borrowed", "over quota; may be taken back after the minimum run time"],
  ["Limit", "never more than this"],
] as const;
const MARKS = [["u", "in quota"], ["o", "borrowed"], ["w", "waits"], ["d", "quota"], ["f", "fair share"], ["e", "limit"]] as const;
const EXAMPLE = { "--max": 34, "--u": 22, "--d": 16, "--f": 19, "--l": 28, "--w": 4, width: 300 } as React.CSSProperties;
const LABELS = [[52, 0, "in quota"], [128, -35, "quota"], [143, 0, "fair share"], [163, -35, "borrowed"], [216, -35, "waits"], [236, 0, "limit"]] as const;

export function Key({ narrow }: { narrow: boolean }) {
  return (
    <section className="key sm mu" aria-label="Legend">
      {narrow ? (
        <p className="legend">
          {MARKS.map(([mark, words]) => (
            <span key={mark}>
              <i className={`k ${mark}`} /> {words}
            </span>
          ))}
        </p>
      ) : (
        <div aria-hidden="true">
          <div className="qb" style={EXAMPLE}>
            {["l", "w", "u", "o", "d", "f", "e"].map((part) => (
              <i key={part} className={part} />
            ))}
          </div>
          <div className="kl">
            {LABELS.map(([left, top, words]) => (
              <i key={words} style={{ left, top }}>
                {words}
              </i>
            ))}
          </div>
        </div>
      )}
      <dl className="kd">
        {WORDS.map(([word, meaning]) => (
          <div key={word}>
            <dt>{word}</dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
