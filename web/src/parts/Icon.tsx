export function Icon({ name, label }: { name: string; label?: string }) {
  return (
    <svg className="i" role={label ? "img" : undefined} aria-label={label} aria-hidden={label ? undefined : true}>
      <use href={`/icons.svg#${name}`} />
    </svg>
  );
}
