"""Numbers as people write them: thousands marks, decimal commas, currencies, brackets below zero."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final, Literal

import polars as pl

from foretell.data.report import Tally, in_rows
from foretell.errors import ColumnError

# What tables write where there is no number.
NOTHING: Final = ("NA", "N/A", "n/a", "#N/A", "null", "NULL", "None", "NaN", "nan", "-", ".", "?")

_CODES: Final = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN "
    "BZD CAD CDF CHF CLP CNH CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL "
    "GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF "
    "KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR "
    "MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RMB RON RSD RUB RWF SAR SBD SCR "
    "SDG SEK SGD SHP SLE SOS SRD SSP STN SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU "
    "UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL"
)
_WORDS: Final = (
    "EURO",
    "EUROS",
    "DM",
    "FR",
    "SFR",
    "KR",
    "KČ",
    "ZŁ",
    "FT",
    "LEI",
    "ЛВ",
    "РУБ",
    "Р",
    "RS",
    "TL",
)
_SIGNS: Final = "元圆圓円원"
_ALIASES: Final = {
    "€": "EUR",
    "EURO": "EUR",
    "EUROS": "EUR",
    "$": "USD",
    "US$": "USD",
    "£": "GBP",
    "₹": "INR",
}
_CURRENCY: Final = (
    rf"(?:\p{{L}}{{0,3}}\p{{Sc}}|[{_SIGNS}]|{_CODES.replace(' ', '|')}"
    rf"|(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})\.?)"
)
_BEFORE: Final = rf"(?i)^([(+-]*)\s*(?:{_CURRENCY}\s*){{1,2}}([(+-]*\s*[\d.,])"
_AFTER: Final = rf"(?i)([\d.,)+-])\s*{_CURRENCY}\s*([)+-]*)$"
_NAMED: Final = rf"(?i)({_CURRENCY})"
_DASHES: Final = "−‐‑‒–—﹣"
_APOSTROPHES: Final = "’‘´`ʼ"
_DIGITS: Final = {chr(start + k): str(k) for start in (0x660, 0x6F0) for k in range(10)} | {
    "٫": ".",
    "٬": "'",
}
_PLAIN_SIGNS: Final = dict.fromkeys(_DASHES, "-") | dict.fromkeys(_APOSTROPHES, "'") | _DIGITS
# Superscripts and fractions are no digits, though a compatible form of them is.
_NO_DIGIT: Final = r"\p{No}"
_NO_CENTS: Final = r"[.,]-+$"
_SPACED: Final = r"^\d{1,3}(?:[ ']\d{3})+(?:[.,]\d*)?$"
_EXPONENT: Final = r"(?:[eE][+-]?\d+)?"


def _decimals(mark: str) -> str:
    """Return what matches a number that can only have ``mark`` before its decimals."""
    other = "[.]" if mark == "," else "[,]"
    mark = f"[{mark}]"
    whole = rf"\d{{1,3}}(?:{other}\d{{2,3}})*{other}\d{{3}}"
    return (
        rf"^(?:{whole}{mark}\d*|\d*{mark}(?:\d{{0,2}}|\d{{4,}}){_EXPONENT}|(?:0?|\d{{4,}}){mark}\d{{3}}{_EXPONENT}"
        rf"|\d+{mark}\d{{3}}[eE][+-]?\d+)$"
    )


def _groups(mark: str) -> str:
    """Return what matches a number that can only have ``mark`` between its thousands, and no decimals."""
    return rf"^\d{{1,3}}(?:[{mark}]\d{{2,3}})*[{mark}]\d{{2,3}}[{mark}]\d{{3}}$"


def _either(mark: str) -> str:
    """Return what matches a number in which ``mark`` may be before decimals or between thousands."""
    return rf"^[1-9]\d{{0,2}}[{mark}]\d{{3}}$"


_MARKS: Final = (".", ",")
_CERTAIN: Final = 9  # times as many rows that say so as rows that say otherwise
_Reading = Literal["decimals", "thousands", "unknown"]


@dataclasses.dataclass(frozen=True)
class Amounts:
    """Numbers that were read.

    Attributes
    ----------
    values : polars.Series
        Float64, null where nothing is written, or nothing that can be read.
    unreadable : polars.Series
        Booleans: something is written that is no number, or may be two.
    written : polars.Series
        Booleans: read, though not written as computers write numbers.
    currencies : tuple of str
        The currencies that are named, each once.
    """

    values: pl.Series
    unreadable: pl.Series
    written: pl.Series
    currencies: tuple[str, ...] = ()

    def tell(self, raw: pl.Series, name: str, rows: pl.Series, tally: Tally) -> None:
        """Count what could not be read of a column, and say how the rest was read."""
        tally.adjust(f"with an unreadable {name!r}, missing", self.unreadable, raw, rows)
        table = pl.DataFrame({"text": raw.cast(pl.String), "value": self.values}).filter(self.written)
        few = table.head(1_000).unique("text", maintain_order=True).head(3).iter_rows()
        shown = [f"{text!r} is {value:.15g}" for text, value in few]
        tally.note(f"with {name!r} as people write numbers", table.height, shown)
        if len(self.currencies) > 1:
            tally.note(f"currencies in {name!r}, taken as one", len(self.currencies), self.currencies)


def read_amounts(raw: pl.Series, *, decimal_comma: bool = False) -> Amounts:
    """Read a column of text as numbers.

    A mark before three digits may stand before decimals or between thousands: the whole column decides, so
    that ``1.234`` beside ``1,50`` is one thousand. Where the column does not say, a point stands before
    decimals and a comma between thousands; with ``decimal_comma`` it is the other way round.

    Examples
    --------
    >>> read_amounts(pl.Series(["1.234", "1,50", "€ 3.000,-", "(7)", "5-", "soon"])).values.to_list()
    [1234.0, 1.5, 3000.0, -7.0, -5.0, None]
    """
    text = raw.cast(pl.String).str.strip_chars()
    text = text.set(text.is_in(["", *NOTHING]).fill_null(value=False), None)
    values = text.cast(pl.Float64, strict=False)
    odd = values.is_null() & text.is_not_null()
    if not odd.any() and not decimal_comma:
        return Amounts(values, odd, odd)
    table = _cleaned(text.filter(odd).unique())
    rest = text.filter(odd).to_frame("text").join(table, on="text", how="left", maintain_order="left")
    plain = text.filter(~odd).str.strip_chars_start("+-")
    readings = _readings(rest["digits"], plain, decimal_comma=decimal_comma)
    read = rest.select(_number(pl.col("digits"), readings) * pl.col("sign")).to_series()
    values = values.scatter(odd.arg_true(), read)
    if readings["."] != "decimals":
        doubtful = text.str.strip_chars_start("+-").str.contains(_either(".")).fill_null(value=False) & ~odd
        again = text.filter(doubtful).str.replace(".", "", literal=True).cast(pl.Float64)
        values = values.scatter(
            doubtful.arg_true(), again if readings["."] == "thousands" else again.clear(len(again))
        )
        odd |= doubtful
    unreadable = values.is_null() & text.is_not_null()
    named = table["currency"].drop_nulls().str.to_uppercase().str.strip_chars_end(".")
    currencies = named.replace(list(_ALIASES), list(_ALIASES.values())).unique().sort()
    return Amounts(values, unreadable, odd & ~unreadable, tuple(currencies))


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Reads columns of numbers, and says what was done.

    Attributes
    ----------
    rows : Series
        Their numbers in the source.
    tally : Tally
    mend : str
        What ends the message of a column that holds text, about ``bad`` values of ``given``.
    infinite : str
        What becomes of values without end.
    decimal_comma : bool
    """

    rows: pl.Series
    tally: Tally
    mend: str
    infinite: str
    decimal_comma: bool

    def __call__(self, raw: pl.Series, name: str, kind: str) -> pl.Series:
        """Return finite numbers, null where nothing is given or what is given cannot be read."""
        return self.finite(self.given(raw, name, kind)[0], raw, name).alias(raw.name)

    def given(self, raw: pl.Series, name: str, kind: str) -> tuple[pl.Series, int]:
        """Return numbers, null where there is none, and how many are given that cannot be read."""
        if raw.dtype.is_nested() or raw.dtype.is_temporal() or raw.dtype in (pl.Object, pl.Binary):
            raise ColumnError(f"the {kind} column {name!r} is of type {raw.dtype}; expected numbers")
        if not isinstance(raw.dtype, (pl.String, pl.Categorical, pl.Enum)):
            return raw.cast(pl.Float64, strict=False).fill_nan(None), 0
        amounts = read_amounts(raw, decimal_comma=self.decimal_comma)
        bad = raw.filter(amounts.unreadable)
        if 2 * len(bad) > len(raw) - raw.null_count():
            shown = in_rows(bad, self.rows.filter(amounts.unreadable))
            mend = self.mend.format(bad=len(bad), given=len(raw))
            raise ColumnError(f"the {kind} column {name!r} holds text, such as {shown}{mend}")
        amounts.tell(raw, name, self.rows, self.tally)
        return amounts.values, len(bad)

    def finite(self, values: pl.Series, raw: pl.Series, name: str) -> pl.Series:
        """Return numbers, null where they are infinite."""
        infinite = values.is_infinite().fill_null(value=False)
        self.tally.adjust(f"with an infinite {name!r}, {self.infinite}", infinite, raw, self.rows)
        return values.set(infinite, None) if infinite.any() else values


def _cleaned(text: pl.Series) -> pl.DataFrame:
    """Return, of each text, its digits with points and commas alone, its sign, and the currency it names."""
    col = pl.col("text")
    clean = pl.when(~col.str.contains(_NO_DIGIT)).then(
        col.str.replace_many(_PLAIN_SIGNS)
        .str.normalize("NFKC")
        .str.replace_all(r"\s+", " ")
        .str.strip_chars()
    )
    frame = text.to_frame("text").with_columns(clean.alias("clean"))
    digits = pl.col("clean").str.replace(_BEFORE, "${1}${2}").str.replace(_AFTER, "${1}${2}")
    frame = frame.with_columns(
        pl.when(digits != pl.col("clean")).then(pl.col("clean").str.extract(_NAMED)).alias("currency"),
        digits.str.replace_all(r"([(+-]) ", "${1}").str.replace(_NO_CENTS, "").alias("digits"),
    )
    digits = pl.col("digits")
    negative = digits.str.contains(r"^(?:\(-?[^()+-]+\)|-[^()+-]+(?:[eE][+-]?\d+)?|[^()+-]+ ?-)$")
    frame = frame.with_columns(pl.when(negative).then(-1.0).otherwise(1.0).alias("sign"))
    digits = pl.when(negative).then(digits.str.strip_chars("()- ")).otherwise(digits.str.strip_prefix("+"))
    frame = frame.with_columns(digits.str.strip_chars().alias("digits"))
    spaced = pl.col("digits").str.contains(_SPACED)
    return frame.with_columns(
        pl.when(spaced).then(pl.col("digits").str.replace_all("[ ']", "")).otherwise(pl.col("digits"))
    )


def _readings(digits: pl.Series, plain: pl.Series, *, decimal_comma: bool) -> dict[str, _Reading]:
    """Return what stands behind a mark before three digits: decimals, thousands, or unknown."""
    decimals, groups = (
        {mark: sum(int(text.str.contains(of(mark)).sum()) for text in (digits, plain)) for mark in _MARKS}
        for of in (_decimals, _groups)
    )
    readings: dict[str, _Reading] = {}
    for mark, other in zip(_MARKS, reversed(_MARKS), strict=True):
        before_decimals = decimals[mark] + groups[other]
        between_thousands = decimals[other] + groups[mark]
        if before_decimals == between_thousands == 0:
            usual = (mark == ",") == decimal_comma
            readings[mark] = "decimals" if usual else "thousands"
        elif before_decimals >= _CERTAIN * between_thousands:
            readings[mark] = "decimals"
        elif between_thousands >= _CERTAIN * before_decimals:
            readings[mark] = "thousands"
        else:
            readings[mark] = "unknown"
    return readings


def _number(digits: pl.Expr, readings: Mapping[str, _Reading]) -> pl.Expr:
    """Return digits with points and commas as a number, null where they are none, or may be two."""
    readings_of: list[tuple[pl.Expr, pl.Expr]] = [(digits.str.contains(r"^\d+$"), digits)]
    for mark, other in zip(_MARKS, reversed(_MARKS), strict=True):
        with_decimals = digits.str.replace_all(other, "", literal=True).str.replace(mark, ".", literal=True)
        whole = digits.str.replace_all(mark, "", literal=True)
        meant = {"decimals": with_decimals, "thousands": whole, "unknown": pl.lit(None)}[readings[mark]]
        readings_of += [
            (digits.str.contains(_decimals(mark)), with_decimals),
            (digits.str.contains(_groups(mark)), whole),
            (digits.str.contains(_either(mark)), meant),
        ]
    number = pl.coalesce(pl.when(fits).then(reading) for fits, reading in readings_of)
    return number.cast(pl.Float64, strict=False)
