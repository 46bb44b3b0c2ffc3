"""README and docs say what is so: measured rows are stored records, links and names exist, code runs, the site is whole."""

import ast
import importlib
import importlib.util
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from unittest.mock import patch
from urllib.parse import unquote, urlsplit

import docs_commands
import pytest
from docs_commands import ROOT

from cmpae_toolkit import metrics
from cmpae_toolkit.config import RISKS, presets
from cmpae_toolkit.methods import METHODS
from cmpae_toolkit.studies import STUDIES, claims, one_sided, records, tables
from cmpae_toolkit.studies.ablations import DIFFERENCES
from cmpae_toolkit.studies.statistics import by_seed, half_width, holm, p_value, summarise, summary

TEXTS = docs_commands.pages()
SMALL, REAL = "simulated small (test)", "real_media (test)"


def text(name):
    """A page as one line a paragraph, so that line breaks do not matter."""
    return re.sub(r"(?<=\S)\n(?=[^\n|#*`])", " ", TEXTS[name])


def table(name, first):
    """The cells of the table on a page whose header begins with `first`, without its two head lines."""
    block = TEXTS[name][TEXTS[name].index(first) :].split("\n\n")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()[2:]]


# ---- measured numbers -------------------------------------------------------------------------------------------------------

SHIPPED = json.loads((ROOT / "cmpae_toolkit/assets/simulated_small/run.json").read_text())


def full_size(preset):
    return records.read("full_size")[f"real_media/{preset}.json"]


RUNS = {
    "CMPAE, preset `paper`, width 128": SHIPPED, "CMPAE, preset `paper`": full_size("paper"),
    "CMPAE, preset `released`": full_size("released"), "JoMoLD, preset `jomold`": full_size("jomold"),
}


def ten(scores):
    return " | ".join(f"{scores[level][score]:.1f}" for level in metrics.LEVELS for score in metrics.SCORES)


@pytest.mark.parametrize("name", RUNS)
def test_rows_of_single_runs(name):
    assert f"| {name} | {ten(RUNS[name]['scores']['test'])} |" in TEXTS["docs/results.md"]
    preset, quick = re.search(r"`(\w+)`", name)[1], {"width", "batch_size", "epochs", "estimator_epochs", "decay_epochs"}
    named = json.loads(json.dumps(presets[preset].to_dict()))
    assert {field for field, value in RUNS[name]["config"].items() if value != named.get(field, value)} <= quick


def test_rows_of_floors():
    for run in (SHIPPED, full_size("paper")):
        for name, floor in run["floors"]["test"].items():
            assert f"| {name} | {ten(floor)} |" in TEXTS["docs/results.md"]


def test_the_main_table():
    numbers = {"small": 2, "real_media": 2, "simulated-avep": 4, "simulated-ave": 3}
    made = {name: tables.make(number, "tables", [name]).text() for name, number in numbers.items()}

    def cell(method, name):
        found = made[name].loc[(made[name]["method"] == method) & made[name]["data"].str.endswith("(test)")]
        keys = ["accuracy"] if name == "simulated-ave" else ["seg. type", "event-level type"]
        return " / ".join(found.iloc[0][key] for key in keys) if len(found) else ""

    same = {"true weak labels everywhere": "true category everywhere", "predict nothing (AVE: background)": "background everywhere"}
    rows = table("README.md", "| five seeds")[1:]
    assert len(rows) == 8
    for method, *cells in rows:
        for name, said in zip(numbers, cells, strict=True):
            of_ave = same.get(method, method) if name == "simulated-ave" else method.partition(" (")[0]
            assert said == cell(of_ave, name), (method, name)


def test_claims_of_tables_5_and_6():
    """Every "a ± b" of the section is a paired difference of the stored runs, or its negative: of a claim, or of EDL and the main
    table's JoMoLD on CMPAE's schedule."""
    section = text("docs/results.md").split("## Which of the paper's claims hold here")[1].split("Of the [fifteen")[0]
    said = {(float(a), float(b)) for a, b in re.findall(r"([+-]?\d+\.\d) ± (\d+\.\d)", section)}
    measured = set()
    for name in ("small", "real_media", "simulated-avep", "simulated-ave"):
        runs, score = records.collect("tables", name), "accuracy" if name == "simulated-ave" else "segment.type"
        for pair in [*(claims.CLAIMS | claims.MORE_CLAIMS).values(), ("EDL", "backbone, JoMoLD's weights")]:
            found = by_seed(*(runs[runs["variant"] == label] for label in pair), score)
            difference, half = (float(f"{value:.1f}") for value in (found.mean(), half_width(found)))
            measured |= {(difference, half), (-difference, half)}
    assert len(said) >= 20 and said <= measured, said - measured


def test_after_holm_allows_for_all_claims_of_the_page():
    """What the section says to stand, and nothing else, stands after Holm's correction for all claims of a data set."""
    every, stands = claims.CLAIMS | claims.MORE_CLAIMS, {}
    for name in ("small", "real_media"):
        found = claims.claims_table(records.collect("tables", name), which=every).set_index("claim")["after Holm"]
        stands[name] = found[found != "undecided"].to_dict()
    reversed_three = ("PAEC helps EDL", "better than both cross-modal", "better than exchange")
    assert len(every) == 20 and stands["small"] == {"PAEC helps the released code": "holds"}
    assert stands["real_media"] == dict.fromkeys(reversed_three, "the reverse") | {"pooling opinions helps the full model": "holds"}
    for name, score in (("simulated-avep", "segment.type"), ("simulated-ave", "accuracy")):
        runs = records.collect("tables", name)
        found = [by_seed(*(runs[runs["variant"] == label] for label in pair), score) for pair in every.values()]
        assert (holm(map(p_value, found)) >= 0.05).all()


def test_pooling_and_one_sided_events():
    found = summarise(records.collect("differences"), "paper").set_index(["data", "variant"])
    of_tables = summarise(records.collect("tables", "small"), "EDL + PAEC + JML").set_index(["data", "variant"])

    def said_as(table, title, variant):
        row = table.loc[(title, variant)]
        return f"{row['segment.type difference']:+.1f} ± {row['segment.type ±']:.1f}"

    real, small = ([said_as(found, title, v) for v in ("logits pooled, not evidence", "released")] for title in (REAL, SMALL))
    page = text("docs/results.md")
    assert f"On real media pooling alone is worth {real[0]}, and all fifteen together {real[1]}." in page
    assert f"pooling is worth {small[0]} and all fifteen together {small[1]}, while" in page
    assert f"they are worth {said_as(of_tables, SMALL, 'released code')} there." in page
    shares = one_sided.mean_shares(records.collect("tables"))["audio", "false alarms"][REAL].round()
    said = f"{shares['EDL']:.0f} % are also \"heard\" by the model with EDL and {shares['EDL + PAEC']:.0f} % by the model with PAEC"
    assert said in text("docs/results.md")


@pytest.fixture(scope="module")
def trust():
    """The evidence study's numbers, a row a run."""
    return records.numbers(records.collect("evidence_study"))


def pm(row, digits, mean="mean", half="±", sign=""):
    return f"{row[mean]:{sign}.{digits}f} ± {row[half]:.{digits}f}"


def test_the_table_of_errors(trust):
    rows = table("docs/evidence.md", "| AURC")
    for column, track in enumerate(("audio", "visual", "audio_visual"), 1):
        columns = {n: f"errors.active.{track}.{n}.aurc" for n in ("vacuity", "doubt")} | {"random": f"errors.active.{track}.error"}
        found = summary(trust[trust["variant"] == "paper"], columns, "doubt")
        expected = []
        for title in (REAL, SMALL):
            expected += [pm(found.loc[title, name], 3) for name in ("vacuity", "doubt", "random")]
            expected.append(pm(found.loc[title, "vacuity"], 3, "difference", "± of it"))
        assert [row[column] for row in rows] == expected


def test_the_table_of_fusion(trust):
    names = ["cumulative", "averaging", "weighted", "constraint", "conjunction"]
    columns = {n: f"audio_visual.{n}.segment" for n in ("AND at 1/2", "AND (minimum)", *names)}
    found = summary(trust[trust["variant"] == "paper"], columns, "AND (minimum)")
    for (_, *cells), title in zip(table("docs/evidence.md", "| | AND |"), (REAL, SMALL), strict=True):
        differences = [pm(found.loc[title, n], 1, "difference", "± of it", "+") for n in names]
        assert cells == [pm(found.loc[title, "AND (minimum)"], 1), *differences]
        chosen = found.loc[title, "AND at 1/2"]
        assert f"{-chosen['difference']:+.1f} ± {chosen['± of it']:.1f} on" in text("docs/evidence.md")


def test_the_table_of_broken_inputs(trust):
    cases = ["audio noise 1 sd", "audio noise 3 sd", "unseen categories", "audio dropped", "visual dropped", "visual shuffled"]
    found = summary(trust[trust["variant"] == "paper"], {c: f"unknown.{c}.vacuity.auroc" for c in cases})
    expected = [[pm(found.loc[title, c], 2) for title in (REAL, SMALL)] for c in cases]
    assert [row[1:] for row in table("docs/evidence.md", "| what is broken")] == expected


def test_the_sentences_of_the_evidence_study(trust):
    page, paper = text("docs/evidence.md"), trust[trust["variant"] == "paper"]

    def ece(level, when, title):
        return summary(paper, {"x": f"calibration.{level}.{when}.ece_equal_width"}).loc[(title, "x")]

    temperature = summary(paper, {"x": "calibration.video.temperature"}).loc[(REAL, "x")]
    assert f"the temperature is {pm(temperature, 2)}" in page
    assert f"from {pm(ece('video', 'before', REAL), 3)} to {pm(ece('video', 'after', REAL), 3)}" in page
    for level, title in (("video", SMALL), ("snippet", REAL), ("snippet", SMALL)):
        assert f"from {ece(level, 'before', title)['mean']:.3f} to {ece(level, 'after', title)['mean']:.3f}" in page
    dropout = {n: f"errors.active.audio.{n}.aurc" for n in ("doubt", "MC dropout", "MC dropout doubt")}
    for name in ("MC dropout", "MC dropout doubt"):
        assert pm(summary(paper, dropout, "doubt").loc[(SMALL, name)], 3, "difference", "± of it", "+") in page
    for title in (REAL, SMALL):
        whole = trust[(trust["variant"] == "ensemble") & (trust["data"] == title)]["scores.segment.type"].item()
        own = paper[paper["data"] == title]["scores.segment.type"].mean()
        assert f"{whole:.1f} against {own:.1f} on" in page
    kinds = ("all.visual", "quarter.visual", "quarter_same_steps.visual", "all.type", "quarter_same_steps.type")
    amount = {kind: f"amount.{kind}" for kind in kinds}
    less = summary(trust[trust["variant"] == "amount"], amount).loc[REAL]
    assert f"{pm(less.loc['quarter.visual'], 3)} against {pm(less.loc['all.visual'], 3)}" in page
    assert f"({pm(less.loc['quarter_same_steps.visual'], 3)})" in page
    assert f"{less.loc['quarter_same_steps.type', 'mean']:.1f} against {less.loc['all.type', 'mean']:.1f}" in page
    for title in (REAL, SMALL):
        three = trust[trust["variant"].isin(["paper", "R-EDL"]) & trust["seed"].isin([0, 1, 2])]
        of_type, of_ece = "scores.segment.type", "calibration.video.before.ece_equal_width"
        found = summarise(three, "paper", [of_type, of_ece]).set_index(["data", "variant"]).loc[(title, "R-EDL")]
        assert pm(found, 1, f"{of_type} difference", f"{of_type} ±", "+") in page
        assert pm(found, 3, f"{of_ece} difference", f"{of_ece} ±") in page


def test_the_table_of_speed():
    rows = {(r["stage"], r["size"]): r for r in json.loads((ROOT / "benchmarks/results.json").read_text())["rows"]}
    epoch = rows["epoch, preset released", "batch x 1"]
    assert f"| {epoch['seconds']:.0f} | {epoch['floor']:.0f} | {epoch['seconds'] / epoch['floor']:.2f} |" in TEXTS["docs/speed.md"]
    said = {float(row[1]) for row in table("docs/speed.md", "| stage")}
    assert all(any(abs(value - r["seconds"]) <= max(0.0051, value / 100) for r in rows.values()) for value in said if value < 2)


# ---- names, links, code -----------------------------------------------------------------------------------------------------


def test_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= 8000


def test_no_sentence_stands_in_two_places():
    seen = {}
    for name in (n for n in TEXTS if n.endswith(".md")):
        prose = re.sub(r"^```.*?^```", "", text(name), flags=re.DOTALL | re.MULTILINE)
        for sentence in re.split(r"(?<=[.!?]) |\n", prose):
            if len(sentence.split()) > 6 and "|" not in sentence:
                assert sentence not in seen, (sentence, name, seen[sentence])
                seen[sentence] = name


@pytest.mark.parametrize("name", [n for n in TEXTS if n.endswith(".md")])
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXTS[name]):
        assert target.startswith("https://") or ((ROOT / name).parent / target).exists(), target


def test_every_difference_names_its_fields():
    rows = "".join(row[-1] for row in table("docs/released_code.md", "| difference"))
    assert set(re.findall(r"`(\w+)`", rows)) == {field for changes in DIFFERENCES.values() for field in changes}


def test_every_preset_is_explained():
    assert [row[0].strip("`") for row in table("docs/released_code.md", "| preset")] == list(presets)


FILES = ("py", "json", "csv", "safetensors")  # `config.json` is a file, not a part of config


def test_every_method_is_explained():
    assert {row[0].strip("`") for row in table("docs/methods.md", "| name")} == set(METHODS)


def resolve(path):
    """What a dotted name of the package means, such as "losses.total" or "model.CMPAE.losses"."""
    parts, owner = path.split("."), importlib.import_module("cmpae_toolkit")
    for i, part in enumerate(parts):
        if not hasattr(owner, part):
            importlib.import_module(".".join(["cmpae_toolkit", *parts[: i + 1]]))
        owner = getattr(owner, part)
    return owner


def test_named_functions_exist():
    """Every `module.name` in code, where there is such a module."""
    found = 0
    for name, page in TEXTS.items():
        for path in re.findall(r"`((?:[a-z_]\w*\.)+[A-Za-z_]\w*)(?:\([^`]*\))?`", page) if name.endswith(".md") else ():
            if importlib.util.find_spec(f"cmpae_toolkit.{path.split('.')[0]}") and path.rpartition(".")[2] not in FILES:
                resolve(path)
                found += 1
    assert found > 60


def test_every_make_target_exists():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {m for page in TEXTS.values() for m in re.findall(r"^make (\w+)|`make (\w+)", page, flags=re.MULTILINE) for m in m if m}
    assert {"run", "test", "docs"} <= named <= targets, named - targets


def test_command_lines_are_found():
    """In blocks and in sentences, without the settings before them and the comments behind."""
    lines = docs_commands.commands()
    assert ("docs/cli.md", ("cmpae", "pack", "--data", "/data/llp")) in lines
    assert ("docs/results.md", ("cmpae", "study", "differences", "--data", "small", "real_media", "--seeds", "3")) in lines
    assert {"README.md", "docs/data.md"} <= {line.file for line in lines}
    assert {("README.md", ("make", "run")), ("docs/cli.md", ("make", "run"))} <= set(docs_commands.commands("make"))


def test_every_study_is_printed_with_its_command():
    assert {line.words[2] for line in docs_commands.commands() if line.words[1] == "study"} == set(STUDIES)


def test_the_ten_lines_of_the_readme(capsys):
    """As they stand they print what README says: the floors to the digit, CMPAE as far as rounding on another machine lets it."""
    block, said = re.search(r"^```python\n(.*?)^```.*?^```text\n(.*?)^```", TEXTS["README.md"], flags=re.DOTALL | re.MULTILINE).groups()
    exec(compile(block, "README", "exec"), {})
    printed, bars = capsys.readouterr()
    assert "preparing cmpae" in bars and "training cmpae" in bars, "nothing is trained without a word"
    (score, *ours), (expected, *theirs) = printed.splitlines(), said.splitlines()
    numbers = [[float(x) for x in re.findall(r"\d+\.\d", lines)] for lines in (score + ours[1], expected + theirs[1])]
    assert len(numbers[0]) == 7 and numbers[0] == pytest.approx(numbers[1], abs=3)
    assert [ours[0], *ours[2:]] == [theirs[0], *theirs[2:]]


def code_blocks():
    for name, page in ((n, page) for n, page in TEXTS.items() if n.startswith("docs/") and n.endswith(".md")):
        for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)):
            yield pytest.param(block, id=f"{name}-{number}")


@pytest.mark.parametrize("block", list(code_blocks()))
def test_code_runs(block, tmp_path, monkeypatch, capsys):
    """On the smallest simulated data, with two epochs; every name that a block imports and uses is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "docs")  # docs/methods.md imports its example
    small = block.replace('"small"', '"tiny"').replace("width=128", "width=16").replace("epochs=15", "epochs=2, estimator_epochs=1")
    small = re.sub(r"\b(epochs)=(6|10)\b", r"\1=2", small)
    with patch.dict(RISKS):  # docs/recipes/loss.md adds one
        exec(compile(ast.parse(small), "block", "exec"), {})


# ---- the site ---------------------------------------------------------------------------------------------------------------


class Links(HTMLParser):
    """The targets and the anchors of a page, and the alternative texts of its pictures."""

    def __init__(self, page):
        super().__init__()
        self.targets, self.anchors, self.told = [], set(), []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors.add(attributes.get("id"))
        self.told += [attributes.get("alt")] if tag == "img" else []
        self.targets += [attributes[name] for name in ("href", "src") if attributes.get(name)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as `make docs` builds it: any warning fails. About 20 s."""
    pytest.importorskip("myst_nb")
    folder = tmp_path_factory.mktemp("docs")
    command = ["-m", "sphinx", "-W", "--keep-going", "-q", "-c", "docs", "-d", str(folder / "doctrees"), ".", str(folder / "site")]
    made = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-3000:]
    return folder / "site"


def test_site_has_every_page(site):
    sources = [*docs_commands.markdown(), *docs_commands.notebooks()]
    for source in sources:
        assert (site / source.relative_to(ROOT).with_suffix(".html")).is_file(), source
    assert "README.html" in (site / "index.html").read_text()
    assert "figures/" not in (site / "README.html").read_text(), "pictures are part of the site"


def test_site_needs_no_network_and_its_links_lead_somewhere(site):
    pages = {path: Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html") if "_downloads" not in path.parts}
    for path, page in pages.items():
        for target in page.targets:
            if urlsplit(target).scheme:
                continue
            file, _, anchor = unquote(target).partition("#")
            goal = (path.parent / file.partition("?")[0]).resolve() if file else path
            assert goal.exists(), f"{path.name}: {target}"
            assert not anchor or goal not in pages or anchor in pages[goal].anchors, f"{path.name}: {target}"
        loaded = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(https?:[^"]+)"', path.read_text(encoding="utf-8"))
        assert not loaded, f"{path.name} loads {loaded}"


def test_site_tells_every_picture_and_plays_the_film(site):
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        outputs = [out for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] for out in cell.get("outputs", [])]
        told = [out["metadata"]["image/png"]["alt"] for out in outputs if "image/png" in out.get("data", {})]
        page = (site / "notebooks" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert [text for text in Links(page).told if text.startswith("Figure: ")] == told and "" not in told
    assert "data:video/mp4;base64," in (site / "notebooks" / "00_start_here.html").read_text(encoding="utf-8")


def test_site_has_every_public_module(site):
    """But the command line's, which docs/cli.md explains."""
    reference = "".join(path.read_text(encoding="utf-8") for path in (site / "docs" / "api").glob("*.html"))
    package = ROOT / "cmpae_toolkit"
    for path in package.rglob("*.py"):
        module = ".".join(path.relative_to(package).with_suffix("").parts)
        if not any(part.startswith("_") for part in module.split(".")) and module != "cli" and module.count(".") < 2:
            assert f'id="module-cmpae_toolkit.{module}"' in reference, module
