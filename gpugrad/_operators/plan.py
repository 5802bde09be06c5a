"""Operators that are planned once and applied often, to arrays or as a matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial, wraps
from types import ModuleType
from typing import Any, ParamSpec

import numpy as np

from gpugrad._arrays import (
    Array,
    Backend,
    NumpyArray,
    as_field,
    assign,
    check_out,
    device_of,
    dtype_name,
    empty,
    flatten_rows,
    is_library_array,
    library_of,
    namespace_of,
    place_of_values,
    result_dtype,
    tell_apart,
)
from gpugrad._engines import evaluate, is_auto_in_force, name_in_force
from gpugrad._engines.ready import ReadyCall, make_ready
from gpugrad._grids import (
    ONE_SIDED,
    Axes,
    Boundary,
    EdgeOrder,
    Options,
    Period,
    Spacing,
    Stagger,
    choose_beside_masked,
    copy_mask,
)
from gpugrad._keywords import accepts_keywords
from gpugrad._operators.components import join_results, round_half, widen_half
from gpugrad._operators.descriptions import OPERATOR, describe
from gpugrad._operators.linear_operator import LinearMap, make_linear_operator
from gpugrad._operators.matrix import make_matrix, make_offset
from gpugrad._operators.planning import make_program
from gpugrad._operators.stages import (
    Selection,
    Stages,
    check_linear,
    is_selection,
    transpose_program,
)
from gpugrad._stencils import bind_fields

P = ParamSpec("P")


class Plan:
    """A linear operator for fields of one shape and dtype, with all weights computed in advance.

    A plan is made by `plan`; the class has no constructor of its own. Call a plan with a field to
    apply the operator. Plans are immutable: threads may share them, and they can be pickled.

    Attributes
    ----------
    operator : str
        The name of the operator.
    shape : tuple of int
        The shape of a field, or of one component of a vector field.
    dtype : dtype
        The dtype of the fields, as a dtype of their library.
    library : str
        The name of the library of the fields.

    See Also
    --------
    plan : Makes a plan.
    explain : Tells where the arithmetic of an operator runs.

    Examples
    --------
    A plan for the gradient of single-precision fields of 4 by 3 samples:

    >>> import gpugrad
    >>> gpugrad.plan((4, 3), 0.5, dtype="float32")
    <plan: gradient of a field of shape (4, 3), float32, NumPy>
    """

    operator: str
    shape: tuple[int, ...]
    dtype: Any
    library: str
    _program: Stages
    _has_mask: bool
    _takes: tuple[int, ...]
    _takes_plain: bool
    _gives: tuple[int, ...]
    _stack: bool
    _backend: str | None
    _place: Any
    _result_dtype: Any
    _ready: ReadyCall | bool | None

    def __init__(self) -> None:
        raise TypeError(
            "a `Plan` must be made by `gpugrad.plan`, which checks its arguments: call "
            "`gpugrad.plan(shape, operator=...)`."
        )

    @classmethod
    def _make(
        cls,
        operator: str,
        program: Stages,
        like: Array,
        takes: tuple[int, ...],
        gives: tuple[int, ...],
        stack: bool,
        backend: str | None,
    ) -> Plan:
        self = cls.__new__(cls)
        self._has_mask = any(
            term.where is not None for terms in program.stages[0] for term in terms
        )
        # How fields come and results go: () one array, (n,) a tuple, (m, n) a tuple of tuples.
        self._takes, self._gives = takes, gives
        self._program, self._stack, self._backend = program, stack, backend
        self.operator = operator
        self.shape = tuple(like.shape)
        self.dtype = like.dtype
        self.library = library_of(like)
        self._takes_plain = self.library == "NumPy" and not takes
        self._ready = None
        self._place = place_of_values(like)
        self._result_dtype = result_dtype(namespace_of(like), like)
        return self

    def __call__(self, f: Any, out: Any = None) -> Any:
        """Apply the operator.

        Parameters
        ----------
        f : array, or sequence of arrays
            A field of the planned shape, dtype and library; for operators on vector fields the
            components, in a sequence or on the first axis of an array.
        out : array, tuple of arrays, or tuple of tuples of arrays, optional
            Where to write: arrays as they are returned. May overlap with `f`.

        Returns
        -------
        array or tuple of arrays
            What the operator returns.

        Raises
        ------
        TypeError
            If `f` is of another dtype or library.
        ValueError
            If `f` has another shape or is on another device, or `out` does not fit.

        See Also
        --------
        matrix : The operator as a sparse matrix.
        adjoint : The transpose, applied without a matrix.

        Examples
        --------
        >>> import gpugrad
        >>> slope = gpugrad.plan(3, 0.5)
        >>> slope([0.0, 1.0, 4.0])
        array([2., 4., 6.])
        """
        # Most calls, which feel a microsecond.
        is_plain = type(f) is np.ndarray and self._takes_plain
        fits = is_plain and f.shape == self.shape and f.dtype == self.dtype
        if fits and out is None and self._backend is None and is_auto_in_force():
            if self._ready is None:
                self._ready = self._make_ready()
            if self._ready:
                return self._call_ready(self._ready, f)
        fields = [f] if fits else self._parse_fields(f, self._takes)
        stages, gives = self._program.stages, self._gives
        if len(stages) > 1 or len(gives) > 1:
            return self._run_stages(fields, out)
        results = evaluate(bind_fields(stages[0], fields), out, self._stack, self._backend)
        return results if gives else results[0]

    def _make_ready(self) -> ReadyCall | bool:
        """Return what calls with new results have ready; False if they take more than one step."""
        stage, *others = self._program.stages
        if others or self._has_mask or len(self._gives) > 1 or is_selection(stage):
            return False
        return make_ready(stage, make_template(self.shape, self.dtype, None))

    def _call_ready(self, ready: Any, f: NumpyArray) -> Any:
        if not self._gives:
            return ready.call_single(f)
        if not self._stack:
            return tuple(ready((f,)))
        out = empty((*self._gives, *self.shape), self._result_dtype)
        ready((f,), out)
        return out

    def __getstate__(self) -> dict[str, Any]:
        """Pickle and copy the plan without what is ready for its calls."""
        return {**self.__dict__, "_ready": None}

    def _run_stages(self, fields: list[Array], out: Any) -> Any:
        """Apply an operator of several stages, or one whose results lie in rows."""
        gives, f = self._gives, fields[0]
        targets = None if out is None else self._find_targets(f, out)
        if targets is not None and len(self._program.stages) == 1:
            outputs = bind_fields(self._program.stages[0], fields)
            evaluate(outputs, targets, False, self._backend)
            return out
        wide = [*map(widen_half, fields)]
        results = self._program.run(wide, partial(evaluate, backend=self._backend))
        results = [*round_half(results, f)]
        if targets is None:
            return join_results(results, gives, self._stack)
        assign(targets, results)
        return out

    def _find_targets(self, f: Array, out: Any) -> Sequence[Array]:
        """Return the arrays to write results to, one after the other, checked."""
        gives, count = self._gives, math.prod(self._gives)
        if len(gives) > 1:
            out = flatten_rows(out, (*gives, *self.shape), self._stack)
            return check_out(out, f, count, False)
        if not gives and not self._stack:
            return check_out(out, f, count, False)
        return check_out(out, f, count, self._stack)

    def _parse_fields(self, f: Any, takes: tuple[int, ...]) -> list[Array]:
        """Return the fields that are given, checked."""
        if not takes:
            return [self._check_field(f)]
        if not isinstance(f, (list, tuple)):
            f = as_field(f)
            f = [f[i, ...] for i in range(f.shape[0])] if f.ndim > 1 else [f]
        if len(f) != takes[0]:
            raise ValueError(
                f"`f` must have {' x '.join(map(str, self._takes))} components of shape "
                f"{self.shape}, as planned; got {len(f)}."
            )
        return [field for entry in f for field in self._parse_fields(entry, takes[1:])]

    def _check_field(self, f: Any) -> Array:
        f = as_field(f)
        if self._has_mask and isinstance(f, np.ndarray) and type(f) is not np.ndarray:
            raise TypeError(
                "`f` must be a plain array for a plan with `where`, which has the mask; got a "
                f"{type(f).__name__}. Pass `numpy.asarray(f)`."
            )
        for what, wanted, actual, error in (
            ("be of library", self.library, library_of(f), TypeError),
            ("have dtype", self.dtype, f.dtype, TypeError),
            ("have shape", self.shape, tuple(f.shape), ValueError),
        ):
            if actual != wanted:
                raise error(
                    f"`f` must {what} {wanted}, as planned; got {actual}. Convert it, or make "
                    "another plan."
                )
        apart = self._place is not None and tell_apart(self._place, place_of_values(f))
        if apart:
            raise ValueError(
                f"`f` must be on device {apart[0]}, as planned; got {apart[1]}. Move it there, or "
                "make another plan."
            )
        return f

    def matrix(self, format: str = "csr") -> Any:
        """Return the operator as a sparse matrix of SciPy, in float64 and host memory.

        The matrix is meant for direct solvers, eigenvalue problems, implicit time steps, and other
        methods that need its entries.

        Parameters
        ----------
        format : str, optional
            "csr" (the default), "csc", "coo" or any other of SciPy's sparse formats.

        Returns
        -------
        scipy.sparse.sparray of shape (results * size, components * size)
            The matrix, where ``size`` is the number of samples of a field. Components are raveled
            in C order and follow one another; so are results, in the order in which the operator
            returns them. If there is one component and one result,
            ``plan.matrix() @ f.ravel() + plan.offset()`` equals ``plan(f).ravel()``. With a mask,
            the columns of masked samples are empty, and so are the rows of results that are
            missing.

        Raises
        ------
        ImportError
            If SciPy is not installed.
        TypeError
            If the operator is not linear: a "gradient_norm".

        See Also
        --------
        offset : The vector that is added to the product of the matrix with a field.
        linear_operator : The operator for iterative solvers, without a matrix.

        Examples
        --------
        The first derivative on three samples with a spacing of 0.5:

        >>> import gpugrad
        >>> gpugrad.plan(3, 0.5).matrix().toarray()
        array([[-2.,  2.,  0.],
               [-1.,  0.,  1.],
               [ 0., -2.,  2.]])
        """
        check_linear(self._program, "a matrix")
        return make_matrix(self._program, self.shape, format)

    def offset(self) -> np.ndarray[Any, Any]:
        """Return the contribution of the boundaries: the result for a field of zeros.

        To solve a linear system with `matrix`, subtract the offset from the right-hand side.

        Returns
        -------
        numpy.ndarray of shape (results * size,), float64
            The offset, in the order of the rows of `matrix`. It is zero unless a boundary has a
            given value or slope, and NaN where a mask leaves no result.

        See Also
        --------
        matrix : The matrix that is multiplied with the field.

        Examples
        --------
        A second derivative whose field is 5 beyond the lower end and 0 beyond the upper end:

        >>> import gpugrad
        >>> bend = gpugrad.plan(3, operator="laplacian", boundary=(5.0, 0.0))
        >>> bend.offset()
        array([5., 0., 0.])
        """
        return make_offset(self._program, self.shape)

    def adjoint(self) -> Plan:
        """Return the transpose of the operator, applied without a matrix.

        The adjoint propagates the gradient of a loss from results back to the field. It is also
        what solvers of least-squares problems need.

        Returns
        -------
        Plan
            A plan that takes the results of this plan and returns fields of its shape, in the dtype
            of the results: the inner product of ``plan(f)`` and ``g`` equals that of ``f`` and
            ``plan.adjoint()(g)``. The weights are real, so for complex fields it is the conjugate
            transpose as well. The `offset` is not part of it. With a mask, entries of missing
            results are not read, and the adjoint is zero at masked samples.

        Raises
        ------
        TypeError
            If the operator is not linear: a "gradient_norm".

        See Also
        --------
        matrix : The operator as a matrix, which can be transposed.
        linear_operator : The operator and its adjoint, for iterative solvers.

        Examples
        --------
        Both inner products are equal:

        >>> import numpy as np
        >>> import gpugrad
        >>> slope = gpugrad.plan(3)
        >>> f, g = np.array([1.0, 2.0, 4.0]), np.array([3.0, 0.0, 1.0])
        >>> float(slope(f) @ g), float(f @ slope.adjoint()(g))
        (5.0, 5.0)
        """
        check_linear(self._program, "an adjoint")
        transposed = copy(self)
        transposed.operator = f"adjoint of {self.operator}"
        transposed.dtype = self._result_dtype
        transposed._program = transpose_program(self._program, self.shape)
        transposed._takes, transposed._gives = self._gives, self._takes
        transposed._takes_plain = self.library == "NumPy" and not transposed._takes
        transposed._stack = self._stack and bool(self._takes)
        transposed._has_mask = False
        return transposed

    def linear_operator(self) -> Any:
        """Return the operator as a `LinearOperator` for iterative solvers, without a matrix.

        Solvers such as `scipy.sparse.linalg.cg` and ``lsqr`` call it, so that no matrix is stored.

        Returns
        -------
        scipy.sparse.linalg.LinearOperator or cupyx.scipy.sparse.linalg.LinearOperator
            The operator, of CuPy for a plan of CuPy fields, of SciPy for a plan of NumPy fields. It
            multiplies vectors, and matrices column by column, as `matrix` does; its transpose
            multiplies as `adjoint` does. Its dtype is that of the results. The `offset` is not part
            of it.

        Raises
        ------
        ImportError
            If SciPy is not installed, or CuPy's solvers lack libraries of the CUDA toolkit.
        TypeError
            If the fields are of another library, or the operator is not linear: a "gradient_norm".

        See Also
        --------
        matrix : The operator as a sparse matrix.
        adjoint : The plan of the transpose.

        Examples
        --------
        Solve a Poisson equation with a field of zero beyond both ends:

        >>> import numpy as np
        >>> from scipy.sparse.linalg import cg
        >>> import gpugrad
        >>> laplacian = gpugrad.plan(50, 0.1, operator="laplacian", boundary=0.0)
        >>> f, status = cg(-laplacian.linear_operator(), np.ones(50), rtol=1e-10)
        >>> bool(np.allclose(laplacian(f), -1.0))
        True
        """
        check_linear(self._program, "a linear operator")
        return make_linear_operator(self._find_linear_part()._as_map(), self.adjoint()._as_map())

    def _as_map(self) -> LinearMap:
        return LinearMap(self, self._takes, self.shape, self.library, self.dtype)

    def _find_linear_part(self) -> Plan:
        """Return a plan without what `offset` has, for fields of the dtype of results."""
        has_constants = any(
            formula.constant is not None
            for stage in self._program.stages
            for terms in stage
            for term in ([] if isinstance(terms, Selection) else terms)
            for formula in (*term.plan.lower, term.plan.interior, *term.plan.upper)
        )
        if has_constants or self._has_mask:
            return self.adjoint().adjoint()
        linear = copy(self)
        linear.dtype = self._result_dtype
        return linear

    def __repr__(self) -> str:
        count = " x ".join(map(str, self._takes))
        fields = f"{count} fields" if count else "a field"
        return (
            f"<plan: {self.operator} of {fields} of shape {self.shape}, {dtype_name(self.dtype)}, "
            f"{self.library}>"
        )


def _explain_refusals(function: Callable[P, Plan]) -> Callable[P, Plan]:
    """Let `plan` say what to do in place of arguments that look right and are not."""

    @wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> Plan:
        if "skipna" in options:
            raise TypeError(
                "`plan` takes no `skipna`: which samples are NaN differs from field to field. Pass "
                "`where`, true where samples are valid in all of them."
            )
        for argument in arguments[1:]:
            if _is_dtype(argument):
                raise TypeError(
                    f"`spacing` must be numbers or coordinates; got {argument!r}. Pass a dtype by "
                    'its name, as in `dtype="float32"`.'
                )
        return function(*arguments, **options)

    return call


def _is_dtype(value: object) -> bool:
    """Tell whether a value is a dtype of some library, or the name of one."""
    kinds = (str, type, np.dtype)
    return isinstance(value, kinds) or type(value).__name__.lower().endswith("dtype")


@_explain_refusals
@accepts_keywords
@describe(
    shape="""
shape : int or tuple of int
    The shape of the fields; for vector fields, the shape of one component.
""",
    dtype="""
dtype : dtype or str, optional
    The dtype of the fields, by default "float64".
""",
    operator=OPERATOR,
    axis="""
axis : None, int or tuple of int, optional
    The axes to differentiate along, by default all of them; for a "derivative" one axis, by
    default the last one. Negative numbers count from the last axis. For a "curl", the axes must be
    ordered as a right-handed coordinate system.
""",
    order="""
order : int, optional
    The order of a "derivative", from 1 to 8. By default 1.
""",
    components="""
components : int, optional
    The number of components of the vector field, for a "jacobian" or a "vector_laplacian". By
    default the number of axes.
""",
    stack="""
stack : bool, optional
    Whether the plan returns one array instead of a tuple, for operators with this option. By
    default False.
""",
    like="""
like : array or namespace, optional
    The library of the fields: one of its arrays, which also determines the device, or the
    namespace of the library. By default NumPy.
""",
    whose=", in all fields that are passed to the plan",
    a_field="a field",
    of_its_library="the library of `like`",
    sums=". A sum of derivatives is NaN where one of them is NaN. The plan keeps a copy of the "
    "mask",
    backend_errors="If a backend that is requested by name can't run a call of the plan; the call "
    "raises the error",
    type_errors=", or if an option is not one of the operator",
    value_errors="; if the operator is unknown",
)
def plan(
    shape: int | Sequence[int],
    *spacing: Spacing,
    dtype: Any = "float64",
    operator: str = "gradient",
    axis: Axes = None,
    order: int | None = None,
    edge_order: EdgeOrder | None = None,
    accuracy: int = 2,
    boundary: Boundary = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Period | None = None,
    stagger: Stagger = None,
    time_unit: str | None = None,
    where: Any = None,
    components: int | None = None,
    stack: bool = False,
    like: Any = None,
    backend: Backend | None = None,
) -> Plan:
    r"""Plan an operator for fields of one shape and dtype, to apply it many times or as a matrix.

    A plan checks the arguments and computes the weights once, which saves time for small fields in
    a loop. As a matrix, the operator and its boundaries can be used in a solver.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    Plan
        ``plan(f)`` and ``plan(f, out=...)`` apply the operator; every digit of the result is that
        of a call of the operator. ``plan.matrix()`` and ``plan.offset()`` return the operator as a
        sparse matrix and a vector, ``plan.linear_operator()`` returns it for iterative solvers, and
        ``plan.adjoint()`` returns the plan of the transpose.

    {errors: help() shows this}

    See Also
    --------
    Plan : The result, with its methods.
    gradient, derivative, laplacian : Operators that are called directly.
    use_backend : Chooses where the arithmetic runs.

    Notes
    -----
    An operator on samples is an affine map, :math:`A f + b`. The rows of :math:`A` are
    finite-difference formulas; near the ends they include the boundaries. The vector :math:`b` is
    zero unless a boundary has a given value or slope. With `where`, the rows next to masked samples
    are the one-sided formulas that are used there. A plan does not know its fields in advance, so
    it has no `skipna`: a NaN at a sample that is valid according to `where` is used as it is.

    Examples
    --------
    A second derivative, with a field that is zero beyond both ends, and its matrix:

    >>> import numpy as np
    >>> import gpugrad
    >>> second = gpugrad.plan(4, 0.5, operator="derivative", order=2, boundary=0.0)
    >>> second(np.array([1.0, 2.0, 3.0, 4.0]))
    array([  0.,   0.,   0., -20.])
    >>> second.matrix().toarray()
    array([[-8.,  4.,  0.,  0.],
           [ 4., -8.,  4.,  0.],
           [ 0.,  4., -8.,  4.],
           [ 0.,  0.,  4., -8.]])

    A masked sample divides the field into two parts:

    >>> slope = gpugrad.plan(5, where=np.array([True, True, False, True, True]))
    >>> slope(np.array([0.0, 1.0, 1e20, 5.0, 7.0]))
    array([ 1.,  1., nan,  2.,  2.])
    >>> slope.matrix().toarray()
    array([[-1.,  1.,  0.,  0.,  0.],
           [-1.,  1.,  0.,  0.,  0.],
           [ 0.,  0.,  0.,  0.,  0.],
           [ 0.,  0.,  0., -1.,  1.],
           [ 0.,  0.,  0., -1.,  1.]])
    """
    template = make_template(shape, dtype, like)
    if backend is not None:
        name_in_force(backend)
    keywords = {
        "order": order,
        "edge_order": edge_order,
        "stagger": stagger,
        "components": components,
        "stack": stack or None,
    }
    options = Options(
        1 if order is None else order,
        accuracy,
        edge_accuracy,
        boundary,
        period,
        stagger,
        edge_order,
    )
    mask = copy_mask(where, template)
    if mask is not None:
        options = choose_beside_masked(options)
    program, takes, gives = make_program(
        operator, template, spacing, axis, time_unit, options, keywords, mask
    )
    return Plan._make(operator, program, template, takes, gives, bool(stack), backend)


def make_template(shape: Any, dtype: Any, like: Any) -> Array:
    """Return an array of the kind that is planned for, which holds a single number."""
    try:
        shape = (int(shape),) if np.ndim(shape) == 0 else tuple(map(int, shape))
    except (TypeError, ValueError, OverflowError, np.ma.MaskError) as error:
        raise TypeError(f"`shape` must be an integer or a tuple of them; got {shape!r}.") from error
    if min(shape, default=0) < 0:
        raise ValueError(f"`shape` must have no negative lengths; got {shape}.")
    if like is None or like is np or library_of(like) == "NumPy":
        try:
            known = np.dtype(dtype)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f'`dtype` must be a dtype, or its name, as in "float32"; got {dtype!r}.'
            ) from error
        return as_field(np.broadcast_to(np.zeros((), known), shape))
    if isinstance(like, ModuleType):
        like = like.zeros(1)
    elif not is_library_array(like):
        raise TypeError(
            f"`like` must be an array or the namespace of a library; got {type(like).__name__}. "
            "Pass a field of the library, or the module, as in `like=torch`."
        )
    xp, device = namespace_of(like), device_of(like)
    place = place_of_values(like)
    if device is None and place is not None and len(place) == 1:
        (device,) = place  # of JAX, if its user has said where
    try:
        name = dtype_name(np.dtype(dtype))
    except TypeError:
        name = dtype if isinstance(dtype, str) else dtype_name(dtype)
    keywords = {} if device is None else {"device": device}
    number = xp.zeros((1,) * len(shape), dtype=getattr(xp, name), **keywords)
    return as_field(xp.broadcast_to(number, shape))
