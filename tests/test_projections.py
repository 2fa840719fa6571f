import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.manifold import trustworthiness as sklearn_trustworthiness
from threadpoolctl import threadpool_limits

from stages.core.geometry import projections
from stages.core.geometry.projections import (
    aligned,
    chance_purity,
    mean_cosine_distances,
    measure,
    nearest_ranks,
    purity,
    sample_classes,
    sample_images,
    set_distances,
    silhouette,
    trustworthiness,
    tsne_layout,
    umap_layout,
)
from stages.core.runtime.errors import StudyError
from tests.conftest import unit_rows

KEPT = ["dotted", "polka-dotted", "crosshatched", "striped", "grid"]
CLASSES = sorted([*KEPT, *(f"class-{i:02d}" for i in range(20))])


def planted_clusters(per_class: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Three tight clusters around coordinate axes: unit rows (3 * per_class, 10), labels."""
    labels = np.repeat(np.arange(3), per_class)
    noise = 0.01 * np.random.default_rng(0).standard_normal((len(labels), 10))
    return unit_rows(np.eye(3, 10)[labels] + noise), labels


# Sampling


def test_the_sample_keeps_the_kept_classes_in_the_order_of_all():
    sample = sample_classes(CLASSES, KEPT, 15, seed=0)
    assert len(sample) == 15
    assert set(KEPT) <= set(sample)
    assert sample == sorted(sample)


def test_the_sample_of_classes_depends_on_the_seed_alone():
    assert sample_classes(CLASSES, KEPT, 15, seed=0) == sample_classes(CLASSES, KEPT, 15, seed=0)
    assert len({tuple(sample_classes(CLASSES, KEPT, 15, seed=seed)) for seed in range(10)}) > 1


def test_absent_kept_classes_and_too_few_classes_leave_all_there_is():
    assert sample_classes(["a", "b", "grid"], KEPT, 15, seed=0) == ["a", "b", "grid"]


def test_more_kept_classes_than_the_sample_takes_are_refused():
    with pytest.raises(StudyError, match=r"project.sampled_classes: 3, but 5 classes .* raise"):
        sample_classes(CLASSES, KEPT, 3, seed=0)


def test_a_sample_of_images_is_sorted_seeded_and_a_class_s_own():
    rows = np.arange(100, 220)
    sample = sample_images(rows, 40, 0, "grid")
    assert len(set(sample)) == 40
    assert set(sample) <= set(rows)
    assert sample.tolist() == sorted(sample)
    np.testing.assert_array_equal(sample, sample_images(rows, 40, 0, "grid"))
    assert sample.tolist() != sample_images(rows, 40, 1, "grid").tolist()
    assert sample.tolist() != sample_images(rows, 40, 0, "striped").tolist()


def test_a_class_with_fewer_images_gives_them_all():
    np.testing.assert_array_equal(sample_images(np.array([3, 5, 9]), 40, 0, "grid"), [3, 5, 9])


# Layouts


def test_tsne_of_planted_clusters_shows_them():
    points, labels = planted_clusters()
    layout = tsne_layout(points, perplexity=10, seed=0)
    assert layout.shape == (60, 2)
    np.testing.assert_allclose(layout.mean(axis=0), 0, atol=1e-12)
    assert np.sqrt(np.mean(np.sum(layout**2, axis=1))) == pytest.approx(1)
    assert purity(layout, labels, 10) == 1
    assert silhouette(layout, labels) > 0.7
    np.testing.assert_array_equal(layout, tsne_layout(points, perplexity=10, seed=0))


@pytest.mark.filterwarnings("ignore:Tensorflow:ImportWarning")
def test_umap_is_that_of_the_library_to_the_bit():
    """Which finds the neighbours itself, pair by pair."""
    from umap import UMAP

    points, _ = planted_clusters(30)
    own = UMAP(n_neighbors=15, min_dist=0.1, init="pca", random_state=3, n_jobs=1)
    with threadpool_limits(1):
        expected = own.fit_transform(points).astype(np.float64)
    expected -= expected.mean(axis=0)
    expected /= np.sqrt(np.mean(np.sum(expected**2, axis=1)))
    np.testing.assert_array_equal(umap_layout(points, 15, 0.1, 3), expected)


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_many_points_are_laid_out_by_approximate_methods(method, monkeypatch):
    monkeypatch.setattr(projections, "MOST_POINTS", 100)
    points, labels = planted_clusters(60)

    def layout():
        if method == "tsne":
            return tsne_layout(points, perplexity=20, seed=1)
        return umap_layout(points, 15, 0.1, 1)

    found = layout()
    assert found.shape == (180, 2)
    assert purity(found, labels, 10) == 1
    assert np.sqrt((found**2).sum(axis=1).mean()) == pytest.approx(1)
    np.testing.assert_array_equal(layout(), found)


def test_a_perplexity_too_large_for_the_points_is_lowered_to_a_third_of_them():
    points, _ = planted_clusters(per_class=4)
    largest = (len(points) - 1) / 3
    np.testing.assert_array_equal(
        tsne_layout(points, perplexity=30, seed=0), tsne_layout(points, largest, seed=0)
    )


def test_tsne_takes_four_points():
    layout = tsne_layout(unit_rows(np.eye(4, 6)), perplexity=30, seed=0)
    assert np.isfinite(layout).all()


@pytest.mark.parametrize("mirrored", [1, -1])
def test_aligning_undoes_a_rotation_and_a_mirror(mirrored):
    reference = np.random.default_rng(0).standard_normal((30, 2))
    angle = 2.0
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = reference @ rotation * [1, mirrored]
    np.testing.assert_allclose(aligned(turned, reference), reference, atol=1e-12)


def test_aligning_changes_no_distance():
    generator = np.random.default_rng(0)
    layout, reference = generator.standard_normal((2, 30, 2))
    np.testing.assert_allclose(pdist(aligned(layout, reference)), pdist(layout))


# Measures


def test_separated_clusters_are_pure_and_have_silhouettes_near_one():
    points, labels = planted_clusters()
    assert purity(points, labels, 10) == 1
    assert silhouette(points, labels) > 0.95


def test_purity_counts_the_neighbours_of_the_same_class():
    points = np.array([[0.0], [1.0], [2.5], [10.0], [11.0]])
    labels = np.array([0, 0, 1, 1, 1])
    # Nearest: 1, 0, 1, 4, 3; of their own class: yes, yes, no, yes, yes.
    assert purity(points, labels, 1) == pytest.approx(4 / 5)


def test_purity_does_not_fall_because_a_class_is_small():
    points = np.array([[0.0], [0.1], [5.0], [5.1], [5.2], [5.3]])
    assert purity(points, np.array([0, 0, 1, 1, 1, 1]), neighbours=10) == 1


def test_shuffled_labels_have_the_purity_of_chance():
    points, labels = planted_clusters(per_class=40)
    generator = np.random.default_rng(1)
    found = [purity(points, generator.permutation(labels), 10) for _ in range(20)]
    assert chance_purity(labels) == pytest.approx(39 / 119)
    assert np.mean(found) == pytest.approx(39 / 119, abs=0.01)


def test_the_identical_layout_is_trustworthy_to_one():
    layout = np.random.default_rng(0).standard_normal((30, 2))
    assert trustworthiness(layout, layout, 5) == 1


def test_trustworthiness_of_six_points_by_hand():
    points = np.array([[0.0], [1.0], [2.1], [3.3], [4.6], [6.0]])
    # Points 0 and 5 change places. A layout's nearest neighbour at rank r in the points costs
    # r - 1, and the sum of the costs is scaled by 2 / (n k (2 n - 3 k - 1)), n = 6, k = 1.
    layout = np.array([[6.0], [1.0], [2.1], [3.3], [4.6], [0.0]])
    # Nearest of 0: 4 (rank 4, costs 3); of 1: 5 (rank 5: 4); of 2: 1 (rank 1: 0);
    # of 3: 2 (rank 1: 0); of 4: 3 (rank 1: 0); of 5: 1 (rank 4: 3).
    assert trustworthiness(points, layout, 1) == pytest.approx(1 - 2 / (6 * 8) * 10)


def test_trustworthiness_is_scikit_learn_s_where_it_is_defined():
    generator = np.random.default_rng(0)
    points, layout = generator.standard_normal((20, 5)), generator.standard_normal((20, 2))
    assert trustworthiness(points, layout, 4) == sklearn_trustworthiness(
        points, layout, n_neighbors=4
    )
    assert trustworthiness(points, layout, 50) == sklearn_trustworthiness(
        points, layout, n_neighbors=9
    )


# Nearest classes


def test_mean_cosine_distances_of_orthogonal_and_oblique_classes():
    points = np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 2, 0], [1, 1, 0], [1, 1, 0]])
    distances = mean_cosine_distances(points, np.array([0, 0, 1, 1, 2, 2]))
    oblique = 1 - np.sqrt(0.5)
    np.testing.assert_allclose(
        distances, [[0, 1, oblique], [1, 0, oblique], [oblique, oblique, 0]], atol=1e-12
    )


def test_set_distance_joins_a_share_of_one_class_to_a_share_of_the_other():
    layout = np.array([[0.0, 0], [-1, 0], [-2, 0], [-3, 0], [1, 0], [3, 0], [6, 0], [8, 0]])
    labels = np.repeat([0, 1], 4)
    assert set_distances(layout, labels, share=0.25)[0, 1] == 1  # 0 to 1
    assert set_distances(layout, labels, share=0.5)[0, 1] == 4  # 0 and -1 to 3
    assert set_distances(layout, labels, share=1)[0, 1] == 11  # -3 to 8
    assert set_distances(layout, labels, share=0.5)[1, 0] == 4  # 1 and 3 to -1


def test_set_distance_has_a_direction():
    x = np.array([0.0, 0, 50, 60, 1, 40, 41, 90])
    distances = set_distances(np.stack([x, np.zeros(8)], axis=1), np.repeat([0, 1], 4), share=0.5)
    # Second nearest of the other class: 40, 40, 10, 20 from the one and 1, 20, 19, 40 from the
    # other; of these the second smallest.
    assert distances[0, 1] == 20
    assert distances[1, 0] == 19


def test_set_distance_sees_islands_where_centroids_meet_and_ignores_one_stray_point():
    generator = np.random.default_rng(0)

    def island(x: float, y: float, size: int) -> np.ndarray:
        return np.array([x, y]) + 0.1 * generator.standard_normal((size, 2))

    torn = np.concatenate([island(-5, 0, 10), island(5, 0, 10)])  # its centroid is at 0
    centre = island(0, 0, 20)
    neighbour = island(-5, 1, 20)
    stray = np.concatenate([island(0, 20, 19), [[0.1, 0.1]]])  # one point in the centre
    labels = np.repeat(np.arange(4), 20)
    distances = set_distances(np.concatenate([torn, centre, neighbour, stray]), labels)
    ranks = nearest_ranks(distances)
    assert ranks[0].tolist() == [0, 2, 1, 3]
    assert ranks[1, 3] == 3


def test_ranks_count_from_the_nearest_other_class():
    distances = np.array([[0.0, 3, 1, 2], [5, 0, 5, 1], [0, 0, 0, 0], [1, 2, 3, 0]])
    assert nearest_ranks(distances).tolist() == [
        [0, 3, 1, 2],
        [2, 0, 3, 1],
        [1, 2, 0, 3],
        [1, 2, 3, 0],
    ]
    assert distances[0, 0] == 0  # left as it was


def test_measures_of_an_embedding_and_of_a_layout():
    points, labels = planted_clusters()
    found = measure(points, None, labels, 10)
    assert found.purity == 1
    assert found.trustworthiness is None
    np.testing.assert_allclose(found.class_distances, 1 - np.eye(3), atol=0.02)

    layout = points[:, :2].astype(float)
    found = measure(points, layout, labels, 10)
    assert found.trustworthiness == trustworthiness(points, layout, 10)
    np.testing.assert_array_equal(found.class_distances, set_distances(layout, labels))
